/**
 * What a member says of itself: the content of `status.json` in its mailbox, and of `afterimage status --json`.
 *
 * Version 1. Times are ISO 8601 in UTC; TXIDs and checksums are 16 hexadecimal digits, as in segment names.
 */
import { z } from "zod";
import { type Position, parsePosition } from "../ltx/position.ts";
import { epochDocumentSchema } from "../roles/role-documents.ts";

export const STATUS_VERSION = 1;

/** Roles and states are closed sets: scripts and alert rules name them. */
export const MEMBER_ROLES = ["operational", "mirror"] as const;
export const MEMBER_TYPES = ["failover", "dr", "reporting"] as const;
export const MEMBER_STATES = [
  "operational",
  "connected",
  "synchronizing",
  "waiting",
  "paused",
  "fenced",
  "inconsistent",
  "down",
  "unknown",
] as const;

/** Kinds of work on a whole database that take a while. */
const WORK_KINDS = ["seed", "resync", "catchUp", "backup", "restore"] as const;
const WORK_UNITS = ["bytes", "transactions"] as const;

export type WorkKind = (typeof WORK_KINDS)[number];
export type WorkUnit = (typeof WORK_UNITS)[number];
export type MemberRole = (typeof MEMBER_ROLES)[number];
export type MemberType = (typeof MEMBER_TYPES)[number];
export type MemberState = (typeof MEMBER_STATES)[number];

const hex16 = z.string().regex(/^[0-9a-f]{16}$/);

const positionSchema = z.object({
  epoch: z.int().min(1),
  txid: hex16,
  checksum: hex16,
  /** When the operational member cut the segment that ends here; null when not known. */
  time: z.iso.datetime().nullable(),
});

const errorSchema = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().nullable(),
  since: z.iso.datetime(),
});

export const holdSchema = z.object({
  by: z.enum(["operator", "failure", "until", "delay", "window"]),
  /** One sentence, such as `delay 1h: 12 transactions wait`. */
  message: z.string(),
});

const progressSchema = z.object({
  /** That are left to integrate. */
  transactions: z.int(),
  /** Of their segments that are here already. */
  bytes: z.int(),
  /** Transactions integrated a second; null when it has just begun. */
  perSecond: z.number().nullable(),
  /** Null when it has just begun, or as much comes as goes. */
  secondsLeft: z.int().nullable(),
});

/** A copy that is to be made equal to the upstream's by the pages that differ, and what the upstream needs for that. */
const resyncSchema = z.object({
  /** Of this request; the answer names it. */
  id: hex16,
  /** Of the directory of its inbox in which it awaits the answer. */
  epoch: z.int().min(1),
  /** `asking`: the answer may be sent. */
  state: z.enum(["preparing", "asking", "applying"]),
  /** Page checksums of the copy, below the mailbox; null when all pages are asked for. */
  file: z.string().nullable(),
  /** Of the file, in hexadecimal. */
  sha256: z.string().nullable(),
  pageSize: z.int().nullable(),
  /** Pages of the copy. */
  pages: z.int(),
  /** Database checksum of the copy. */
  checksum: hex16.nullable(),
  /** The transaction that follows the state of the copy, when that is where its journal ends; null when it is any other state. */
  from: hex16.nullable(),
  /** Readers have seen the copy at this transaction of the history that the newest epoch goes back to: nothing older may be sent. */
  atLeast: hex16,
  /** Pages that were read for the checksums, and of how many. */
  done: z.number(),
  total: z.number().nullable(),
  /** What kept the last attempt from succeeding; it is tried again. */
  error: errorSchema.nullable(),
});

const databaseSchema = z.object({
  /** The end of the journal as far as this member knows it. */
  operational: positionSchema.nullable(),
  received: positionSchema.nullable(),
  integrated: positionSchema.nullable(),
  /** Transactions that are in the journal, as far as this member knows it, and not in its database. */
  lagTransactions: z.int().nullable(),
  /** Age of the oldest transaction that this member knows of and has not integrated; 0 when there is none. */
  lagSeconds: z.number().nullable(),
  /**
   * Everything that the operational member had cut so many seconds ago is in the copy, by this member's clock; 0 on the
   * operational member; null when nothing is proved, or absent.
   */
  staleSeconds: z.number().nullable().optional(),
  /** The same of what is in the journal here, whether it is integrated or not. */
  receivedStaleSeconds: z.number().nullable().optional(),
  /** By an operator. */
  paused: z.boolean(),
  /** What holds the next segment back on purpose; null when nothing does. No error. */
  hold: holdSchema.nullable().default(null),
  /** While a mirror that was away catches up; null otherwise. */
  progress: progressSchema.nullable().default(null),
  fenced: z.boolean(),
  pageSize: z.int().nullable(),
  pageCount: z.int().nullable(),
  walBytes: z.int().nullable(),
  /** The first transaction that this member asks its upstream to send again; null when nothing is missing. */
  wants: z.object({ epoch: z.int(), txid: hex16 }).nullable(),
  /** While the copy is made equal to the upstream's; null or absent otherwise. */
  resync: resyncSchema.nullable().optional(),
  /** Of a file that is on its way while there is no copy yet, or one is made equal to the upstream's; null or absent otherwise. */
  receiving: z.object({ bytes: z.number(), total: z.number().nullable() }).nullable().optional(),
  /** ID of the verification that the upstream is asked for; null or absent when it is asked for none. */
  verificationAsked: hex16.nullable().optional(),
  /** What integration waits for, such as `backup (process 1, since ...)`; null when it waits for nothing. No error. */
  heldBy: z.string().nullable().default(null),
  /** Files that were refused and are kept in `quarantine/` until somebody has looked. */
  quarantined: z.int().default(0),
  /** The last verification of every page and of the journal; null when there was none. */
  verified: z.object({ time: z.iso.datetime(), ok: z.boolean(), txid: hex16 }).nullable().default(null),
  error: errorSchema.nullable(),
  /** What does no harm yet. */
  warnings: z.array(errorSchema).default([]),
});

export const verifiedMemberSchema = z.object({
  member: z.string(),
  /** `unknown`: nobody could look. */
  state: z.enum(["ok", "bad", "unknown"]),
  /** `epoch:txid:checksum`, at which its pages were compared. */
  position: z.string().nullable(),
  problems: z.array(z.string()),
});

const receiptSchema = z.object({
  /** What was put into its inbox last; null for a member that somebody else ships to. */
  shipped: hex16.nullable(),
  received: hex16.nullable(),
  integrated: hex16.nullable(),
  lagTransactions: z.int().nullable(),
  /** Age of the oldest transaction that it has not integrated, by the clock of the operational member. */
  lagSeconds: z.number().nullable().default(null),
  /** The same of what it has not received; null when it is not known, or absent. */
  unreceivedSeconds: z.number().nullable().optional(),
  /** What it has received, when the journal here no longer holds what comes next: its copy is to be compared page by page. */
  cutOff: hex16.optional(),
  /** Bytes of the file that is being put into its inbox. */
  sending: z.number().optional(),
  /** What came of the verification that it has asked for last: of this member, and of those above it. */
  verification: z.object({ id: hex16, members: z.array(verifiedMemberSchema) }).optional(),
});

const followerSchema = z.object({
  /** The follower through which this one gets its segments; null for a direct follower. */
  via: z.string().nullable().default(null),
  reachable: z.boolean(),
  /** When the follower's own heartbeat was last seen to move. */
  heartbeat: z.iso.datetime().nullable(),
  error: errorSchema.nullable(),
  databases: z.record(z.string(), receiptSchema),
});

const journalSchema = z.object({
  /** Of all files in the journal. */
  bytes: z.int(),
  maxBytes: z.number(),
  /** Of the journal's file system, and what must stay free there. */
  freeBytes: z.number(),
  minFreeBytes: z.number(),
  /** When the oldest segment or snapshot was cut; null before the first. */
  oldest: z.iso.datetime().nullable(),
  /** SPOOL_FULL, DISK_LOW: limits that the journal has come up against. */
  shortages: z.array(z.string()),
  /** Members that segments were no longer kept for: they go on from a snapshot. */
  givenUp: z.array(z.object({ member: z.string(), database: z.string() })),
});

export const runSchema = z.object({
  /** The random name of the state directory; a copy has the same. */
  instance: z.string(),
  /** How often that state was started, each time one more. */
  start: z.int().min(1),
  /** Random, of one run of the daemon. */
  session: z.string(),
  /** Grows with every document that the run publishes. */
  beat: z.int().min(0),
});

const handoverSchema = z.object({
  /** Of the offer. */
  id: hex16,
  /** That is offered. */
  epoch: z.int().min(1),
  to: z.string(),
  /**
   * Of the offering member: `preparing`, `offered`: it may be taken now, `withdrawing`: it may not be taken any more. Of the
   * other one: `refused`.
   */
  state: z.enum(["preparing", "offered", "withdrawing", "refused"]),
  /** Why it was refused. */
  error: errorSchema.nullable(),
});

const alertSchema = z.object({
  /** docs/ALERTS.md says what each means. */
  code: z.string(),
  level: z.enum(["warn", "error"]),
  /** A database, a follower, a place or the code of an error; null when it is about the member as a whole. */
  subject: z.string().nullable(),
  message: z.string(),
  hint: z.string(),
  since: z.iso.datetime(),
});

const activitySchema = z.object({
  kind: z.enum(WORK_KINDS),
  database: z.string(),
  /** In words; what is done is counted anew in each. */
  step: z.string(),
  done: z.number(),
  /** Null when it is not known. */
  total: z.number().nullable(),
  unit: z.enum(WORK_UNITS),
  percent: z.number().nullable(),
  /** Over the last half minute; null when it has just begun. */
  perSecond: z.number().nullable(),
  secondsLeft: z.number().nullable(),
  since: z.iso.datetime(),
});

export const memberStatusSchema = z.object({
  version: z.literal(STATUS_VERSION),
  mirror: z.string(),
  member: z.string(),
  role: z.enum(MEMBER_ROLES).nullable(),
  type: z.enum(MEMBER_TYPES),
  state: z.enum(MEMBER_STATES),
  follows: z.string().nullable(),
  epoch: z.int().nullable(),
  heartbeat: z.iso.datetime().nullable(),
  reachable: z.boolean(),
  databases: z.record(z.string(), databaseSchema),
  /** All members behind this one, however many members are between. */
  followers: z.record(z.string(), followerSchema),
  /** Age of the newest that this member knows of the operational one; 0 on that one; null when it is not known, or absent. */
  upstreamAgeSeconds: z.number().nullable().optional(),
  /** What is wrong with the member as a whole. */
  errors: z.array(errorSchema).default([]),
  /** The epochs that the member knows of, oldest first: who reigned, and from which positions on. */
  history: z.array(epochDocumentSchema).default([]),
  /** The role as it is being offered, or was offered and refused; null or absent when nothing is handed over. */
  handover: handoverSchema.nullable().optional(),
  /** Programs of hooks that cannot be run, and why, one sentence each; absent when all can. */
  hookFaults: z.array(z.string()).optional(),
  /** Alerts that are raised, the worst first; absent when nobody looks. */
  alerts: z.array(alertSchema).optional(),
  /** Work on whole databases that takes a while, the eldest first; absent when there is none. */
  activities: z.array(activitySchema).optional(),
  /** Null when it is not known. */
  journal: journalSchema.nullable().default(null),
  /** Which run of which state published this; null or absent when it is not known. */
  run: runSchema.nullable().optional(),
  /** By member, the run that was seen last of it. */
  seen: z.record(z.string(), runSchema).optional(),
  /** The member that is asked to ship what it has received and this one has not; null or absent when none is. */
  collecting: z.string().nullable().optional(),
});

export type PositionView = z.infer<typeof positionSchema>;
export type ErrorView = z.infer<typeof errorSchema>;
export type DatabaseStatus = z.infer<typeof databaseSchema>;
export type HoldView = z.infer<typeof holdSchema>;
export type CatchUpProgress = z.infer<typeof progressSchema>;
export type ResyncView = z.infer<typeof resyncSchema>;
export type VerifiedMember = z.infer<typeof verifiedMemberSchema>;
export type Receipt = z.infer<typeof receiptSchema>;
export type FollowerStatus = z.infer<typeof followerSchema>;
export type JournalStatus = z.infer<typeof journalSchema>;
export type ActivityView = z.infer<typeof activitySchema>;
export type AlertView = z.infer<typeof alertSchema>;
export type RunView = z.infer<typeof runSchema>;
export type HandoverView = z.infer<typeof handoverSchema>;
export type MemberStatus = z.infer<typeof memberStatusSchema>;

/** The answer of `afterimage status --json`. */
export interface MirrorSetStatus {
  readonly mirror: string;
  /** Who gave this answer. */
  readonly answeredBy: string;
  readonly members: readonly MemberStatus[];
}

/** The position that a status document shows; null when it shows none, or no valid one. */
export function parsePositionView(view: Pick<PositionView, "epoch" | "txid" | "checksum"> | null): Position | null {
  return view === null ? null : parsePosition(`${view.epoch}:${view.txid}:${view.checksum}`);
}

/** Parses a `status.json`; null when it is not one of a version that this program reads. */
export function parseMemberStatus(text: string): MemberStatus | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = memberStatusSchema.safeParse(value);
  return parsed.success ? parsed.data : null;
}

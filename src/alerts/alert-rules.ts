/**
 * What is wrong with a member, out of what it knows: pure functions, for the daemon as well as for a command that looks once.
 *
 * Guarantee: what is not known is `unclear`, which neither raises nor clears an alert, and silence is not good news: an age
 * that is not known is at least the time for which it has not been known.
 */
import type { AlertThresholds } from "../config/alert-configuration.ts";
import type {
  DatabaseStatus,
  ErrorView,
  MemberRole,
  MemberState,
  MemberStatus,
  MemberType,
} from "../status/member-status.ts";
import { ALERTS, type AlertCode } from "./alert-catalogue.ts";

/** What is over must be better than the threshold by so much, or alerts would come and go. */
const EASE = 0.8;
/** Of the limit of the journal. */
const SPOOL_EASE = 0.1;
const FREE_EASE = 1.1;
const DEFAULT_FREE_FACTOR = 1.5;
/** Named in a message; the others are counted. */
const NAMED = 3;

/** What a file system has room for. */
export interface SpaceFact {
  /** `journal`, or the directory of a database. */
  readonly place: string;
  readonly freeBytes: number;
  /** `journal.minFree`, or its default there. */
  readonly leastBytes: number;
}

export interface BackupFacts {
  /** Databases that are backed up by schedule here. */
  readonly expected: readonly string[];
  /** By database, when the newest was made, milliseconds since 1970. */
  readonly newest: ReadonlyMap<string, number>;
  /** By database, the last failure. */
  readonly failed: ReadonlyMap<string, { readonly atMs: number; readonly message: string }>;
}

export interface AlertFacts {
  /** The member's own. */
  readonly status: MemberStatus;
  readonly thresholds: AlertThresholds;
  /** Of the configuration; 0 when the member is operational. */
  readonly delayMs: number;
  /**
   * Asked about an age that is not known, by a name that is the same at each look: for how long that has been so. The age is
   * no less. 0 for who looks only once.
   */
  unknownMs(what: string): number;
  /** Every other member of the configuration, with the state that it said last; null when it has said nothing. */
  readonly others: readonly {
    readonly member: string;
    readonly type: MemberType;
    readonly state: MemberState | null;
  }[];
  readonly space: readonly SpaceFact[];
  readonly backups: BackupFacts;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** One thing that was looked at. */
export interface Finding {
  readonly code: AlertCode;
  /** What it is about: a database, a follower, a place, the code of an error; null for the member as a whole. */
  readonly subject: string | null;
  /** Null when it is not about one. */
  readonly database: string | null;
  readonly state: "bad" | "good" | "unclear";
  /** It is an alert when it has been bad for so long. */
  readonly raiseAfterMs: number;
  readonly message: string;
  readonly hint: string;
}

/** Everything that is looked at, good or bad; what does not apply to the member, or is turned off, is not among it. */
export function findings(facts: AlertFacts): Finding[] {
  return [
    ...silentUpstream(facts),
    ...lag(facts),
    ...awayFollowers(facts),
    ...oldReceipts(facts),
    ...unsafeTopology(facts),
    ...largeSpool(facts),
    ...lowSpace(facts),
    ...ofDatabases(facts),
    ...backups(facts),
    ...errors(facts),
  ];
}

function finding(code: AlertCode, state: Finding["state"], message: string, more: Partial<Finding> = {}): Finding {
  return { code, state, message, subject: null, database: null, raiseAfterMs: 0, hint: ALERTS[code].hint, ...more };
}

interface Age {
  /** Or at least so much, when it is not known. */
  readonly ms: number;
  readonly isKnown: boolean;
}

function age(facts: AlertFacts, ms: number | null, what: string): Age {
  return ms === null ? { ms: facts.unknownMs(what), isKnown: false } : { ms, isKnown: true };
}

function ageState({ ms, isKnown }: Age, limitMs: number): Finding["state"] {
  if (ms > limitMs) return "bad";
  return isKnown && ms <= EASE * limitMs ? "good" : "unclear";
}

/** A member that must not serve follows nobody, and nobody follows it: MEMBER_ERROR says why. */
function serves({ status }: AlertFacts, role: MemberRole): boolean {
  return status.role === role && status.state !== "fenced";
}

function silentUpstream(facts: AlertFacts): Finding[] {
  const { status, thresholds } = facts;
  if (thresholds.upstreamSilentMs === null || !serves(facts, "mirror")) return [];
  const silence = age(facts, milliseconds(status.upstreamAgeSeconds), "upstream");
  const message = `nothing has been heard of the operational member for ${inWords(silence.ms)}`;
  return [finding("UPSTREAM_SILENT", ageState(silence, thresholds.upstreamSilentMs), message)];
}

function lag(facts: AlertFacts): Finding[] {
  if (!serves(facts, "mirror")) return [];
  const { thresholds, delayMs } = facts;
  const { receivedLagMs: received, integratedLagMs: integrated } = thresholds;
  return [
    ...(received === null ? [] : [oldest(facts, { code: "RECEIVED_LAG", limitMs: received, delayMs: 0 })]),
    ...(integrated === null ? [] : [oldest(facts, { code: "INTEGRATED_LAG", limitMs: integrated, delayMs })]),
  ];
}

interface LagRule {
  readonly code: "RECEIVED_LAG" | "INTEGRATED_LAG";
  readonly limitMs: number;
  /** So late on purpose. */
  readonly delayMs: number;
}

/** One finding for all databases: what is silent is silent for all of them. */
function oldest(facts: AlertFacts, { code, limitMs, delayMs }: LagRule): Finding {
  const isReceived = code === "RECEIVED_LAG";
  const { databases } = facts.status;
  const ages = Object.entries(databases).map(([name, { receivedStaleSeconds, staleSeconds }]) => {
    const known = milliseconds(isReceived ? receivedStaleSeconds : staleSeconds);
    const { ms, isKnown } = age(facts, known, `${code} ${name}`);
    return { name, ageMs: ms, state: ageState({ ms: Math.max(0, ms - delayMs), isKnown }, limitMs) };
  });
  const bad = ages.filter(({ state }) => state === "bad").sort((a, b) => b.ageMs - a.ageMs);
  const what = isReceived ? "received" : "integrated";
  const cutAgo = inWords(bad[0]?.ageMs ?? 0);
  const message = `what the operational member cut ${cutAgo} ago is not proved to be ${what}: ${named(bad.map(({ name }) => name))}`;
  return finding(code, worst(ages.map(({ state }) => state)), message);
}

function worst(states: readonly Finding["state"][]): Finding["state"] {
  if (states.includes("bad")) return "bad";
  return states.includes("unclear") ? "unclear" : "good";
}

/** Members behind a follower are for that one to watch: their signs of life are by its clock. */
function awayFollowers(facts: AlertFacts): Finding[] {
  const { status, nowMs } = facts;
  const { followerAwayMs } = facts.thresholds;
  if (followerAwayMs === null) return [];
  return Object.entries(status.followers).flatMap(([subject, { via, heartbeat }]) => {
    if (via !== null) return [];
    const known = heartbeat === null ? null : Math.max(0, nowMs - Date.parse(heartbeat));
    const silence = age(facts, known, `follower ${subject}`);
    const message = `${subject} has shown no sign of life for ${inWords(silence.ms)}`;
    return [finding("FOLLOWER_AWAY", ageState(silence, followerAwayMs), message, { subject })];
  });
}

function oldReceipts(facts: AlertFacts): Finding[] {
  const { status } = facts;
  const { receiptAgeMs } = facts.thresholds;
  if (receiptAgeMs === null || !serves(facts, "operational")) return [];
  return Object.entries(status.followers).map(([subject, { databases }]) => {
    const ages = Object.entries(databases)
      .map(([database, { unreceivedSeconds }]) => {
        // A member that has said nothing yet may have it all: FOLLOWER_AWAY is about that one.
        return { database, ms: (unreceivedSeconds ?? 0) * 1000, isKnown: unreceivedSeconds != null };
      })
      .sort((a, b) => b.ms - a.ms);
    const state = worst(ages.map((each) => ageState(each, receiptAgeMs)));
    const [first] = ages;
    const message = `what was cut ${inWords(first?.ms ?? 0)} ago is not proved to be on ${subject}: ${first?.database ?? "nothing"}`;
    return finding("RECEIPT_OLD", state, message, { subject });
  });
}

function unsafeTopology(facts: AlertFacts): Finding[] {
  const { status, others } = facts;
  const { topologyUnsafeMs } = facts.thresholds;
  const candidates = others.filter(({ type }) => type !== "reporting");
  if (topologyUnsafeMs === null || !serves(facts, "operational") || candidates.length === 0) return [];
  const ready = candidates.filter((candidate) => couldBePromoted(status, candidate));
  const message = `no member could be promoted now: ${named(candidates.map(({ member }) => member))}`;
  return [finding("TOPOLOGY_UNSAFE", ready.length > 0 ? "good" : "bad", message, { raiseAfterMs: topologyUnsafeMs })];
}

function couldBePromoted(
  { databases, followers }: MemberStatus,
  { member, state }: AlertFacts["others"][number],
): boolean {
  const follower = followers[member];
  if (follower === undefined || !follower.reachable || state === "inconsistent" || state === "fenced") return false;
  return Object.keys(databases).every((name) => (follower.databases[name]?.integrated ?? null) !== null);
}

function largeSpool({ status, thresholds }: AlertFacts): Finding[] {
  const { spoolShare } = thresholds;
  if (spoolShare === null || status.journal === null) return [];
  const { bytes, maxBytes, shortages } = status.journal;
  const share = bytes / maxBytes;
  const isShort = shortages.includes("SPOOL_FULL");
  const state = isShort || share > spoolShare ? "bad" : share <= spoolShare - SPOOL_EASE ? "good" : "unclear";
  const message = `the journal has ${bytes} of at most ${maxBytes} bytes${isShort ? ", and loses history before its time" : ""}`;
  return [finding("SPOOL_LARGE", state, message)];
}

function lowSpace({ thresholds, space }: AlertFacts): Finding[] {
  const { freeSpaceBytes } = thresholds;
  if (freeSpaceBytes === null) return [];
  return space.map(({ place, freeBytes, leastBytes }) => {
    const limit = freeSpaceBytes === "default" ? DEFAULT_FREE_FACTOR * leastBytes : freeSpaceBytes;
    const state = freeBytes < limit ? "bad" : freeBytes >= FREE_EASE * limit ? "good" : "unclear";
    const message = `${freeBytes} bytes are free on the file system of ${place === "journal" ? "the journal" : place}`;
    return finding("FREE_SPACE_LOW", state, message, { subject: place });
  });
}

function ofDatabases({ status, thresholds }: AlertFacts): Finding[] {
  const { quarantineFiles } = thresholds;
  return Object.entries(status.databases).flatMap(([name, { quarantined, verified }]) => {
    const about = { subject: name, database: name };
    const message = `refused files in quarantine: ${quarantined}`;
    const isBad = quarantineFiles !== null && quarantined >= quarantineFiles;
    return [
      ...(quarantineFiles === null ? [] : [finding("QUARANTINE", isBad ? "bad" : "good", message, about)]),
      ...(verified === null ? [] : [verification(name, verified)]),
    ];
  });
}

function verification(name: string, { ok, time }: NonNullable<DatabaseStatus["verified"]>): Finding {
  const message = `it is not what its journal says, as was found at ${time}`;
  return finding("VERIFICATION_FAILED", ok ? "good" : "bad", message, { subject: name, database: name });
}

function backups(facts: AlertFacts): Finding[] {
  const { nowMs } = facts;
  const { expected, newest, failed } = facts.backups;
  if (expected.length === 0) return [];
  const { backupAgeMs } = facts.thresholds;
  const failures = expected.filter((name) => (failed.get(name)?.atMs ?? 0) > (newest.get(name) ?? 0));
  const why = failed.get(failures[0] ?? "")?.message ?? "";
  const failure = finding("BACKUP_FAILED", failures.length > 0 ? "bad" : "good", `${named(failures)}: ${why}`);
  if (backupAgeMs === null) return [failure];
  const states = expected.map((name) => {
    const takenAtMs = newest.get(name);
    const known = takenAtMs === undefined ? null : Math.max(0, nowMs - takenAtMs);
    return ageState(age(facts, known, `backup ${name}`), backupAgeMs);
  });
  const old = expected.filter((_, i) => states[i] === "bad");
  const message = `there is no backup of the last ${inWords(backupAgeMs)}: ${named(old)}`;
  return [failure, finding("BACKUP_OLD", worst(states), message)];
}

/** Those that are over are not among them: what is looked at no more is cleared. */
function errors({ status, thresholds }: AlertFacts): Finding[] {
  const { errorsMs } = thresholds;
  if (errorsMs === null) return [];
  const byCode = new Map<string, { error: ErrorView; databases: string[] }>();
  for (const [name, { error }] of Object.entries(status.databases)) {
    if (error === null) continue;
    const known = byCode.get(error.code) ?? { error, databases: [] };
    known.databases.push(name);
    byCode.set(error.code, known);
  }
  const ofError = (code: "DATABASE_ERROR" | "MEMBER_ERROR", error: ErrorView, message: string) =>
    finding(code, "bad", `${error.code}: ${message}`, {
      ...{ subject: error.code, raiseAfterMs: errorsMs, hint: error.hint ?? ALERTS[code].hint },
    });
  return [
    ...[...byCode.values()].map(({ error, databases }) =>
      ofError("DATABASE_ERROR", error, `${named(databases)}: ${error.message}`),
    ),
    ...status.errors.map((error) => ofError("MEMBER_ERROR", error, error.message)),
  ];
}

function milliseconds(seconds: number | null | undefined): number | null {
  return seconds == null ? null : seconds * 1000;
}

function named(names: readonly string[]): string {
  const rest = names.length - NAMED;
  return rest > 0 ? `${names.slice(0, NAMED).join(", ")} and ${rest} more` : names.join(", ");
}

function inWords(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

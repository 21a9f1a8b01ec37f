/**
 * What can be asked of a member, whether its daemon runs (over the control socket) or not (by the command itself, under
 * the same locks). Results are plain JSON, because they cross a socket and are printed by `--json`.
 */

import type { HoldView, MirrorSetStatus, VerifiedMember } from "../status/member-status.ts";
import type { Collected } from "./collect-segments.ts";
import type { DemoteOptions, DemoteResult } from "./demotion.ts";
import type { RotationResult, SyncedMember, SyncOptions } from "./journal-results.ts";
import type { RoleView } from "./known-roles.ts";
import type { PossibleLoss } from "./possible-losses.ts";
import type { StepListener } from "./runbook-steps.ts";
import type { ValidateResult } from "./validation.ts";

export interface IntegrationResult {
  readonly database: string;
  /** Transactions integrated by this call. */
  readonly transactions: number;
  /** The mirror's position afterwards, `epoch:txid:checksum`; null when it has no snapshot yet. */
  readonly position: string | null;
  /** What holds the rest back, if not all that was received is integrated; null when nothing does. */
  readonly hold: HoldView | null;
}

export interface ResumeOptions {
  /**
   * Integration stops before the first segment that is beyond: a TXID, 16 hexadecimal digits, or a time, ISO 8601 in UTC, by
   * which the operational member had cut it. Kept until the next `resume` or `pause`. Nowhere when not given.
   */
  readonly until?: string;
}

export interface IntegrateOptions extends ResumeOptions {
  /** Leaves out `delay` and the schedule once; not a pause, nor where integration stops. */
  readonly now?: boolean;
}

/** What an operator has ordered of a database. */
export interface OrderResult {
  readonly database: string;
  readonly paused: boolean;
  readonly until: string | null;
  /** The mirror's position, `epoch:txid:checksum`; null when it has no snapshot yet. */
  readonly position: string | null;
}

export interface FenceOptions {
  /** Only say what would be changed. */
  readonly dryRun?: boolean;
}

export interface FenceResult {
  readonly database: string;
  readonly fenced: boolean;
  /** False when the database already was as asked. */
  readonly changed: boolean;
}

export interface VerificationResult {
  readonly database: string;
  readonly ok: boolean;
  /** The position that the database was compared at; null when there is none yet. */
  readonly position: string | null;
  readonly pages: number;
  /** One sentence for each fault that was found; empty when `ok`. */
  readonly problems: readonly string[];
  /** What members above this one say of their own copies, the nearest first; absent when they were not asked. */
  readonly members?: readonly VerifiedMember[] | undefined;
}

export interface VerifyOptions {
  /** Also on every member above this one, up to the operational one. */
  readonly deep?: boolean;
}

export interface SegmentView {
  readonly database: string;
  readonly epoch: number;
  readonly kind: "segment" | "snapshot";
  readonly minTxid: string;
  readonly maxTxid: string;
  readonly bytes: number;
  readonly pages: number;
  /** When the segment was cut on the operational member, ISO 8601. */
  readonly time: string;
  readonly preApplyChecksum: string;
  readonly postApplyChecksum: string;
  readonly path: string;
}

export interface SegmentFilter {
  readonly database?: string | undefined;
  readonly epoch?: number | undefined;
  readonly kind?: SegmentView["kind"] | undefined;
  /** Only what holds this transaction, 16 hexadecimal digits. */
  readonly txid?: string | undefined;
  /** Only what the operational member cut from this time on, and until that one, ISO 8601 in UTC. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  /** At most this many, the newest; 50 when not given. */
  readonly limit?: number | undefined;
}

export interface ShipOptions {
  /** Members to ship to; all that follow this one when not given. */
  readonly members?: readonly string[];
}

/** What has been put into a follower's mailbox, and whether that is all there was. */
export interface ShippedMember {
  readonly member: string;
  /** TXIDs, 16 hexadecimal digits: the last that was shipped, and the end of the journal. */
  readonly databases: readonly { readonly database: string; readonly shipped: string; readonly end: string }[];
  /** What kept something from being shipped; null when all of it was. */
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}

export interface SnapshotResult {
  readonly database: string;
  /** Null when nothing is new since the last snapshot, or one is being written. */
  readonly written: { readonly pages: number; readonly bytes: number } | null;
}

export interface PurgeOptions {
  /** Only say what would be removed. */
  readonly dryRun?: boolean;
}

export interface PurgeResult {
  readonly database: string;
  /** Paths of the segments and snapshots, oldest first. */
  readonly removed: readonly string[];
  readonly removedBytes: number;
  /** Bytes of the database's journal now. */
  readonly bytes: number;
}

export interface ReloadResult {
  /** Keys of the configuration that are other ones now, such as `journal.rotate` or `members.porto.follows`. */
  readonly changed: readonly string[];
}

export const REBUILD_METHODS = ["replay", "resync", "snapshot"] as const;

/** `replay`: the segments that are missing; `resync`: the pages that differ; `snapshot`: all pages. */
export type RebuildMethod = (typeof REBUILD_METHODS)[number];

export interface RebuildOptions {
  readonly databases?: readonly string[];
  /** The cheapest when not given. */
  readonly method?: RebuildMethod;
  /** Only say what would be done. */
  readonly dryRun?: boolean;
}

export interface RebuildPlan {
  readonly database: string;
  readonly method: RebuildMethod;
  /** That have to come over the wire, estimated; null for a way that is not possible. */
  readonly bytes: Readonly<Record<RebuildMethod, number | null>>;
  /** Pages of the upstream's database. */
  readonly pages: number;
  /** Code of what is wrong with the copy; null when nothing is. */
  readonly error: string | null;
}

export interface SeedOptions {
  readonly database: string;
  /** A database file beside the copy's place, on the same file system, which it is moved to. */
  readonly file: string;
  /** Whether a copy that is there already may be replaced. */
  readonly replace: boolean;
}

export interface SeedResult {
  readonly database: string;
  /** Where the copy is now. */
  readonly path: string;
}

export interface PromoteOptions {
  /** The name of the operational member: promote whatever it does, and whoever has received more. */
  readonly force?: string;
  /** Make every check, and only say what would be done. */
  readonly dryRun?: boolean;
}

export interface PromoteResult {
  readonly member: string;
  /** That has begun, or would. */
  readonly epoch: number;
  /** Who was operational. */
  readonly from: string;
  readonly dryRun: boolean;
  /** What would be done; empty when it was done. */
  readonly steps: readonly string[];
  /** What would be lost, as far as is known; empty when it was done. */
  readonly losses: readonly PossibleLoss[];
  /** What was received last of each database: `epoch:txid:checksum`, when it was cut, and how long ago by this member's clock. */
  readonly databases: readonly {
    readonly database: string;
    readonly position: string | null;
    readonly time: string | null;
    readonly ageSeconds: number | null;
  }[];
  /** What other members had received and this one had not, and which of them it was got from. */
  readonly collected: readonly Collected[];
  /** Members that could not be told: none of them may be started as operational. */
  readonly untold: readonly string[];
  readonly roles: readonly RoleView[];
}

export interface RejoinOptions {
  /** Only say what would be done. */
  readonly dryRun?: boolean;
  /** Until the copies equal the later epoch's and the reports are written; true when not given. Nobody waits without a daemon. */
  readonly wait?: boolean;
}

export const REJOIN_STATES = ["follows", "diverged", "rejoining", "rejoined"] as const;

export interface RejoinDatabase {
  readonly database: string;
  /** Transactions that are in no later epoch; null when they cannot be counted before the rest of the WAL is cut. */
  readonly transactions: number | null;
  /** `epoch:txid:checksum` of the last of them, and of the state that they follow; null when there are none in the journal. */
  readonly lost: string | null;
  readonly fork: string | null;
  /** Where they are, or will be, kept; null when nothing is. */
  readonly directory: string | null;
  /** `follows`: there is nothing to keep; `diverged`: nothing has been done; `rejoining`: the daemon goes on with it. */
  readonly state: (typeof REJOIN_STATES)[number];
}

export interface RejoinResult {
  readonly member: string;
  /** The newest, and who reigns in it. */
  readonly epoch: number;
  readonly operational: string;
  readonly databases: readonly RejoinDatabase[];
  readonly roles: readonly RoleView[];
}

export interface SwitchoverOptions {
  /** The member that is to be operational. */
  readonly to: string;
  /** How long the databases may be fenced before all is undone, and the other member may take to get level before; 60 seconds when not given. */
  readonly timeoutMs?: number;
  /** Only check whether it can be done. */
  readonly dryRun?: boolean;
}

export interface CancelOptions {
  /** The name of the member that was offered the role: serve again although nobody knows whether it has taken over. */
  readonly force?: string;
}

export interface CancelResult {
  readonly roles: readonly RoleView[];
}

export interface SwitchoverResult {
  readonly from: string;
  readonly to: string;
  /** That has begun, or would. */
  readonly epoch: number;
  readonly dryRun: boolean;
  /** From the fence until the other member's epoch was seen to have begun; null when nothing was done. */
  readonly interruptedMs: number | null;
  readonly roles: readonly RoleView[];
}

/** How a drill ended: whether a promotion was proved to work. */
export interface DrillOutcome {
  readonly ok: boolean;
  readonly message: string;
  readonly seconds: number;
}

/** What a process of its own does beside the daemon, which shows it. */
export interface NotedWork {
  readonly kind: "backup" | "restore";
  readonly database: string;
  readonly pid: number;
  readonly state: "running" | "finished" | "stopped";
  readonly step: string;
  /** Bytes. */
  readonly done: number;
  readonly total: number;
  /** Since it began. */
  readonly elapsedMs: number;
}

/** `databases` undefined means all of the member's. Every method may throw an AfterimageError. */
export interface MemberControl {
  status(): Promise<MirrorSetStatus>;
  rotate(databases?: readonly string[]): Promise<RotationResult[]>;
  integrate(databases?: readonly string[], options?: IntegrateOptions): Promise<IntegrationResult[]>;
  /** Stops integration after the batch that has begun; mirrors go on receiving and passing on. Kept until `resume`. */
  pause(databases?: readonly string[]): Promise<OrderResult[]>;
  /** @throws MemberError UNTIL_PASSED, UNTIL_OF_MANY. */
  resume(databases?: readonly string[], options?: ResumeOptions): Promise<OrderResult[]>;
  fence(databases?: readonly string[], options?: FenceOptions): Promise<FenceResult[]>;
  /** Makes a mirror the operational member, in an epoch of its own. */
  promote(options: PromoteOptions, onStep?: StepListener): Promise<PromoteResult>;
  /** Keeps what is in no later epoch, and makes a member that was deposed, or a mirror that diverged, follow again. */
  rejoin(options: RejoinOptions, onStep?: StepListener): Promise<RejoinResult>;
  /** Hands the role over to another member: nothing is lost, nothing copied, and all is undone when it fails. */
  switchover(options: SwitchoverOptions, onStep?: StepListener): Promise<SwitchoverResult>;
  /** Undoes the hand-over that is under way; the new roles say when that was too late. @throws MemberError SWITCHOVER_NONE, SWITCHOVER_TARGET, SWITCHOVER_UNSETTLED. */
  cancelSwitchover(options: CancelOptions): Promise<CancelResult>;
  /** The operational member gives its role up; nobody has it until a member is promoted. */
  demote(options: DemoteOptions, onStep?: StepListener): Promise<DemoteResult>;
  /** Whether a member is ready to take over now. Changes nothing. @throws ConfigError MEMBER_UNKNOWN. */
  validate(member: string): Promise<ValidateResult>;
  /** Keeps in mind what another process does, for status and events. */
  noteWork(work: NotedWork): Promise<void>;
  /** Keeps an event of how a drill ended. */
  noteDrill(outcome: DrillOutcome): Promise<void>;
  unfence(databases?: readonly string[], options?: FenceOptions): Promise<FenceResult[]>;
  verify(databases?: readonly string[], options?: VerifyOptions): Promise<VerificationResult[]>;
  segments(filter: SegmentFilter): Promise<SegmentView[]>;
  /** Removes from the journal what may go, as the daemon does by itself now and then. */
  purge(options: PurgeOptions): Promise<PurgeResult[]>;
  /** Writes a snapshot of each database that has changed since its last one. */
  snapshot(databases?: readonly string[]): Promise<SnapshotResult[]>;
  /** Ships everything that the journal holds, whatever the schedule says. A follower that cannot be reached delays no other. */
  ship(options: ShipOptions): Promise<ShippedMember[]>;
  /** Reads the configuration file again and applies it; when that cannot be done, nothing has changed. */
  reload(): Promise<ReloadResult>;
  /** Cuts and ships everything that was committed before the call, and resolves once the members have integrated it. */
  sync(options: SyncOptions): Promise<SyncedMember[]>;
  /** Orders that copies are made equal to the upstream's; what is a `replay` needs no order. Status says when it is done. */
  rebuild(options: RebuildOptions): Promise<RebuildPlan[]>;
  /** Puts a file in the place of a mirror's copy, and orders that it is made equal to the upstream's. */
  seed(options: SeedOptions): Promise<SeedResult>;
}

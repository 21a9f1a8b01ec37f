/** Puts together what this member says of itself in `status.json`. */
import { HOOK_EVENTS, type HookConfiguration } from "../config/configuration.ts";
import { programFault } from "../hooks/program-fault.ts";
import type { Verification } from "../journal/verification-ledger.ts";
import { formatChecksum, formatTxid, type Position, type Txid } from "../ltx/position.ts";
import { encodeEpoch } from "../roles/role-documents.ts";
import {
  type AlertView,
  type CatchUpProgress,
  type DatabaseStatus,
  type ErrorView,
  type FollowerStatus,
  type HandoverView,
  type HoldView,
  type JournalStatus,
  type MemberRole,
  type MemberState,
  type MemberStatus,
  type PositionView,
  parsePositionView,
  type ResyncView,
  type RunView,
  STATUS_VERSION,
} from "../status/member-status.ts";
import { halts } from "./duty-errors.ts";
import { lineTxid } from "./journal-epochs.ts";
import type { MemberContext } from "./member-context.ts";
import type { DatabaseDuty } from "./member-roles.ts";
import type { Peer } from "./peer.ts";
import type { Watchdog } from "./watchdog.ts";

/** What only the running duty of a database knows. */
export interface DutyFacts {
  readonly fenced: boolean;
  readonly walBytes: number | null;
  readonly wants: Txid | null;
  /** The backup that integration waits for. */
  readonly heldBy?: string | null;
  /** By an operator. */
  readonly paused?: boolean;
  readonly hold?: HoldView | null;
  readonly progress?: CatchUpProgress | null;
  readonly resync?: ResyncView | null;
  readonly verificationAsked?: string | null;
  readonly receiving?: { readonly bytes: number; readonly total: number | null } | null;
  /** Refused files that are kept. */
  readonly quarantined?: number;
}

export interface StatusParts {
  readonly role: MemberRole;
  /** The newest that this member knows of. */
  readonly epoch: number;
  readonly duty: DatabaseDuty;
  readonly duties: ReadonlyMap<string, DutyFacts>;
  readonly followers: ReadonlyMap<string, FollowerStatus>;
  readonly journal: JournalStatus;
  /** That are raised. */
  readonly alerts: readonly AlertView[];
  /** What is wrong with the member as a whole. */
  readonly errors: readonly ErrorView[];
  /** Whom this member follows; null on the operational member. */
  readonly upstream: Peer | null;
  readonly watchdog: Watchdog;
  readonly handover: HandoverView | null;
  /** Null when no daemon serves this member. */
  readonly run: RunView | null;
  readonly seen: Readonly<Record<string, RunView>>;
  readonly collecting: string | null;
}

export function buildStatus(context: MemberContext, parts: StatusParts): MemberStatus {
  const databases: Record<string, DatabaseStatus> = {};
  for (const [name, facts] of parts.duties) {
    const verified = verificationView(context.store.verification(name));
    databases[name] = { ...databaseStatus(context, name, facts, parts), verified };
  }
  return {
    version: STATUS_VERSION,
    mirror: context.configuration.mirror,
    member: context.self.name,
    role: parts.role,
    type: context.self.type,
    state: memberState(parts, Object.values(databases)),
    follows: parts.upstream?.member.name ?? null,
    epoch: parts.epoch,
    heartbeat: new Date(context.nowMs()).toISOString(),
    reachable: true,
    databases,
    followers: Object.fromEntries([...parts.followers].map((follower) => withStall(follower, parts.watchdog))),
    errors: [...parts.errors],
    history: context.history.epochs.map(encodeEpoch),
    handover: parts.handover,
    ...hookFaults(context.self.hooks),
    alerts: [...parts.alerts],
    ...activities(context),
    journal: parts.journal,
    run: parts.run,
    seen: { ...parts.seen },
    collecting: parts.collecting,
  };
}

function activities({ work }: MemberContext): Pick<MemberStatus, "activities"> {
  const views = work.views();
  return views.length === 0 ? {} : { activities: views };
}

function hookFaults(hooks: HookConfiguration): Pick<MemberStatus, "hookFaults"> {
  const faults = HOOK_EVENTS.flatMap((event) => {
    const path = hooks[event];
    const fault = path === undefined ? null : programFault(path);
    return fault === null ? [] : [`${event}: ${fault.message}`];
  });
  return faults.length === 0 ? {} : { hookFaults: faults };
}

function rejoining({ store }: MemberContext, database: string): ErrorView | null {
  const pending = store.rejoins.get(database);
  if (pending === null) return null;
  const order = store.resyncs.get(database);
  const step = order === null ? "the report of what differs is being written" : "its copy is made the later epoch's";
  const message = `${database} rejoins: what only this member had is kept in ${pending.directory}; ${step}`;
  return { code: "REJOINING", message, hint: null, since: new Date(pending.atMs).toISOString() };
}

/** What readers see of it counts as far as the newest epoch goes back to it. */
function onLine(context: MemberContext, database: string, view: PositionView | null): PositionView | null {
  const position = parsePositionView(view);
  if (view === null || position === null) return view;
  return { ...view, txid: formatTxid(lineTxid(context, database, position)) };
}

function databaseStatus(
  context: MemberContext,
  name: string,
  facts: DutyFacts,
  parts: StatusParts,
): Omit<DatabaseStatus, "verified"> {
  const row = context.store.database(name);
  const received = positionView(row?.received ?? null, row?.receivedTimeMs ?? null);
  const integrated = positionView(row?.integrated ?? null, row?.integratedTimeMs ?? null);
  const announced = parts.upstream?.status?.databases[name]?.operational ?? null;
  const operational = parts.role === "operational" ? received : newest(announced, received);
  return {
    operational,
    received,
    integrated,
    ...lag(operational, onLine(context, name, integrated)),
    paused: facts.paused ?? false,
    hold: facts.hold ?? null,
    progress: facts.progress ?? null,
    fenced: facts.fenced,
    pageSize: row?.pageSize ?? null,
    pageCount: row?.pageCount ?? null,
    walBytes: facts.walBytes,
    wants: facts.wants === null ? null : { epoch: row?.received?.epoch ?? 1, txid: formatTxid(facts.wants) },
    resync: facts.resync ?? null,
    receiving: facts.receiving ?? null,
    verificationAsked: facts.verificationAsked ?? null,
    heldBy: facts.heldBy ?? null,
    quarantined: facts.quarantined ?? 0,
    error: row?.error ?? stallOf(parts, name),
    warnings: [parts.watchdog.stall("WAL_NOT_SHORTENED", name), rejoining(context, name)].filter(
      (warning) => warning !== null,
    ),
  };
}

/** What a database's own work reports says more, so this is only for when it reports nothing. */
function stallOf({ role, watchdog }: StatusParts, name: string): ErrorView | null {
  return watchdog.stall(role === "operational" ? "CAPTURE_STALLED" : "INTEGRATION_STALLED", name);
}

function withStall([name, status]: [string, FollowerStatus], watchdog: Watchdog): [string, FollowerStatus] {
  return [name, { ...status, error: status.error ?? watchdog.stall("SHIPPING_STALLED", name) }];
}

function verificationView(verification: Verification | null): DatabaseStatus["verified"] {
  if (verification === null) return null;
  const { atMs, position, ok } = verification;
  return { time: new Date(atMs).toISOString(), ok, txid: formatTxid(position.txid) };
}

function positionView(position: Position | null, timeMs: number | null): PositionView | null {
  if (position === null) return null;
  return {
    epoch: position.epoch,
    txid: formatTxid(position.txid),
    checksum: formatChecksum(position.checksum),
    time: timeMs === null ? null : new Date(timeMs).toISOString(),
  };
}

/** What a mirror has received may be newer than what its upstream last said. */
function newest(a: PositionView | null, b: PositionView | null): PositionView | null {
  if (a === null || b === null) return a ?? b;
  return BigInt(`0x${a.txid}`) >= BigInt(`0x${b.txid}`) ? a : b;
}

/** Both times are the operational member's, so the lag in seconds is measured on one clock. */
function lag(end: PositionView | null, integrated: PositionView | null) {
  if (end === null || integrated === null) return { lagTransactions: null, lagSeconds: null };
  const lagTransactions = Number(BigInt(`0x${end.txid}`) - BigInt(`0x${integrated.txid}`));
  if (lagTransactions === 0) return { lagTransactions, lagSeconds: 0 };
  const [endMs, integratedMs] = [Date.parse(end.time ?? ""), Date.parse(integrated.time ?? "")];
  const lagSeconds = Number.isNaN(endMs - integratedMs) ? null : Math.max(0, (endMs - integratedMs) / 1000);
  return { lagTransactions, lagSeconds };
}

function memberState(parts: StatusParts, databases: readonly DatabaseStatus[]): MemberState {
  // A demoted member does the operational member's work, and is not operational.
  if (parts.duty === "none" || parts.duty !== parts.role) return "fenced";
  if (parts.role === "operational") {
    return databases.length > 0 && databases.every((database) => database.fenced) ? "fenced" : "operational";
  }
  if (databases.some((database) => halts(database.error?.code ?? ""))) return "inconsistent";
  if (databases.some((database) => database.paused)) return "paused";
  if (parts.upstream === null || !parts.upstream.alive) return "waiting";
  return databases.every(isLevel) ? "connected" : "synchronizing";
}

/** What is held back on purpose is nothing that a mirror is busy with. */
function isLevel({ lagTransactions, hold }: DatabaseStatus): boolean {
  return lagTransactions === 0 || (hold !== null && hold.by !== "failure");
}

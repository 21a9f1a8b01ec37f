/**
 * Rejoining: a member that holds transactions which are in no later epoch keeps them, and follows the later epoch again.
 *
 * Guarantee: what only this member has is kept durably, and a restore of it has been tried, before anything forgets it; the
 * copies hold it all until they become the later epoch's, each in one commit. What comes after `rejoin:begun` is in
 * the state: a daemon that starts goes on with it (jobs/rejoin.ts), and before that nothing has changed but what is kept.
 */
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { RestoreError } from "../backup/restore-error.ts";
import { messageOf } from "../errno.ts";
import { formatPosition } from "../ltx/position.ts";
import { isFenced } from "../sqlite/fence.ts";
import { type CapturedChange, OperationalDatabase } from "../sqlite/operational-database.ts";
import { PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import { stageChecksums } from "../sqlite/stage-checksums.ts";
import { assertFree } from "./free-space.ts";
import { restoreKept } from "./kept-copy.ts";
import { knownRoles } from "./known-roles.ts";
import type { Member } from "./member.ts";
import type { MemberContext } from "./member-context.ts";
import type { RejoinDatabase, RejoinOptions, RejoinResult } from "./member-control.ts";
import { MemberError } from "./member-error.ts";
import type { MirrorDuty } from "./mirror-duty.ts";
import { OperationalDuty } from "./operational-duty.ts";
import { readStatus } from "./peer-status.ts";
import { fenceIfDeposed, recognisedWithoutWal } from "./role-change.ts";
import {
  dropSurplus,
  keepSurplus,
  keptDirectory,
  removeFiles,
  type Surplus,
  surplusOf,
  surplusOfDeposed,
} from "./surplus.ts";

const POLL_MS = 100;
const SERVED_LIMIT_MS = 60_000;
/** A member that has just begun its epoch may be busy. */
const ASKED_LIMIT_MS = 10_000;
/** Of the WAL, that are looked at together. */
const COUNTED_BYTES = 64 * 1024 * 1024;

/**
 * @throws MemberError NOT_A_MIRROR, REJOIN_UNREACHABLE, DISK_LOW: nothing has changed then; REJOIN_UNFENCED, REJOIN_UNKEPT and
 * what keeps the rest of the WAL from being cut: nothing has but what is fenced, cut and kept.
 */
export async function rejoin(member: Member, options: RejoinOptions): Promise<RejoinResult> {
  await Promise.all([...member.peers.values()].map((peer) => readStatus(peer)));
  await assertReignKnown(member);
  const { context, roles } = member;
  const plans = await Promise.all(namesOf(member).map((name) => planOf(member, name)));
  assertRoom(member, plans);
  if (options.dryRun === true) return await resultOf(member, plans);
  const begun =
    roles.state.role === "deposed" ? await rejoinDeposed(member) : await rejoinDiverged(member, divergedOf(member));
  if (begun.length > 0 && member.running) await untilServed(member);
  if (options.wait !== false && member.running) await untilDone(member);
  const known = new Map(plans.map((plan) => [plan.database, plan]));
  for (const each of begun) known.set(each.database, each);
  const pending = new Set(context.store.rejoins.list().map(({ database }) => database));
  const databases = [...known.values()].map((each) => ({ ...each, state: stateOf(each, pending) }));
  return await resultOf(member, databases);
}

function stateOf({ database, directory }: RejoinDatabase, pending: ReadonlySet<string>): RejoinDatabase["state"] {
  if (pending.has(database)) return "rejoining";
  return directory === null ? "follows" : "rejoined";
}

/** A later epoch must be known, and the member that reigns in it must say so itself. */
async function assertReignKnown({ roles, peers, context }: Member): Promise<void> {
  const { role } = roles.state;
  const { name } = context.self;
  const { current } = roles.history;
  if ((role !== "deposed" && role !== "mirror") || current === null || current.member === name) {
    throw new MemberError("NOT_A_MIRROR", `nobody else is known to reign: ${name} has nothing to rejoin`, {
      hint: "Look at `afterimage whois-operational`. Promote the member that is to be operational first.",
    });
  }
  const peer = peers.get(current.member);
  const untilMs = performance.now() + ASKED_LIMIT_MS;
  while (peer !== undefined && performance.now() < untilMs) {
    const isRead = await readStatus(peer);
    if (isRead && (peer.status?.epoch ?? 0) >= current.epoch) return;
    await delay(POLL_MS);
  }
  throw new MemberError(
    "REJOIN_UNREACHABLE",
    `${current.member}, operational in epoch ${current.epoch}, cannot be asked`,
    {
      hint: "Make its mailbox reachable from here, or let its daemon run, and run the command again.",
    },
  );
}

function namesOf(member: Member): string[] {
  const { store, databases } = member.context;
  const diverged = store.databaseNames().filter((name) => foundIn(member, name) !== null);
  return [...new Set([...databases.keys(), ...diverged])].sort();
}

function foundIn({ roles, context }: Member, database: string): Surplus | null {
  return (roles.state.role === "deposed" ? surplusOfDeposed : surplusOf)(context, database);
}

async function planOf(member: Member, database: string): Promise<RejoinDatabase> {
  const { context, operational, roles } = member;
  const { store, databases } = context;
  const surplus = foundIn(member, database);
  const path = databases.get(database);
  const isCut = roles.state.role !== "deposed" || path === undefined || operational.has(database);
  const uncut = isCut ? 0 : await uncutTransactions(context, database, path);
  const pending = store.rejoins.get(database);
  // What is not cut yet may be just what the journal lacks.
  const isShort = surplus !== null && uncut !== 0 && surplusOf(context, database) === null;
  const transactions = uncut === null || isShort ? null : uncut + (surplus?.transactions ?? 0);
  return {
    database,
    ...positionsOf(surplus),
    transactions,
    directory:
      pending?.directory ??
      (surplus === null || uncut !== 0 || transactions === 0 ? null : keptDirectory(context, surplus)),
    state: pending !== null ? "rejoining" : transactions === 0 ? "follows" : "diverged",
  };
}

function positionsOf(surplus: Surplus | null): Pick<RejoinDatabase, "lost" | "fork"> {
  if (surplus === null || surplus.transactions === 0) return { lost: null, fork: null };
  const { lost, fork } = surplus;
  return { lost: formatPosition(lost), fork: fork === null ? null : formatPosition(fork) };
}

/**
 * Commits in the WAL that are not in the journal; null when they cannot be counted yet. Nothing changes: of a database that
 * is not fenced, SQLite would remove the WAL afterwards.
 */
async function uncutTransactions({ store }: MemberContext, name: string, path: string): Promise<number | null> {
  if (!existsSync(path) || !(await isFenced(path))) return null;
  const { walPosition = null, received = null, pageCount } = store.database(name) ?? {};
  const table = new PageChecksumTable(store.chunkStore(name), pageCount ?? 0, received?.checksum);
  const database = OperationalDatabase.open(path, { saved: walPosition });
  try {
    if (database.resumed.kind === "gap") return null;
    let commits = 0;
    for (let change = nextOf(database); change !== null; change = nextOf(database)) {
      for (const _ of stageChecksums(table, change));
      commits += change.commits;
      database.accept(change);
    }
    const isFence = commits === 1 && table.checksum === received?.checksum;
    return isFence ? 0 : commits;
  } finally {
    database.close();
  }
}

function nextOf(database: OperationalDatabase): CapturedChange | null {
  return database.capture({ maxBytes: COUNTED_BYTES });
}

/** For the state that is kept, which is put together once, and for the pages that are fetched. */
function assertRoom({ context }: Member, plans: readonly RejoinDatabase[]): void {
  const sizes = plans
    .filter(({ state }) => state === "diverged")
    .map(({ database }) => {
      const { pageSize = 0, pageCount = 0 } = context.store.database(database) ?? {};
      return (pageSize ?? 0) * (pageCount ?? 0);
    });
  const bytes = sizes.reduce((sum, each) => sum + each, 0);
  if (bytes > 0)
    assertFree(context.self.state, context.configuration.journal, { bytes, what: "the state that is kept" });
}

/** Everything in one step, so that the role and what is left to do for the copies belong together. */
async function rejoinDeposed(member: Member): Promise<RejoinDatabase[]> {
  const { context, roles } = member;
  const { store, steps, databases } = context;
  if (!(await fenceIfDeposed(member))) {
    throw new MemberError("REJOIN_UNFENCED", "a database could not be fenced", {
      hint: "Look for FENCE_FAILED among the events, and run the command again.",
    });
  }
  const duties = new Map<string, OperationalDuty>();
  try {
    for (const [name, path] of databases) {
      if (!existsSync(path)) continue;
      duties.set(name, new OperationalDuty(context, name, path));
      await duties.get(name)?.rotate();
    }
    steps.done("rejoin:cut", "everything that was committed here is in the journal");
    const kept: Kept[] = [];
    for (const name of namesOf(member)) {
      const one = await keep(member, name, async () => void (await duties.get(name)?.snapshot()));
      if (one !== null) kept.push(one);
    }
    if (kept.length > 0) await prove(member, kept);
    for (const duty of duties.values()) await duty.retire();
    store.transaction(() => {
      for (const [name, path] of databases) store.saveDatabase(name, recognisedWithoutWal(context, name, path));
      for (const one of kept) beginOf(member, one);
      roles.apply({ type: "rejoined" });
    });
    return reportBegun(member, kept);
  } finally {
    for (const duty of duties.values()) await duty.retire();
  }
}

function divergedOf(member: Member): MirrorDuty[] {
  return [...member.mirrors.values()].filter(({ name }) => foundIn(member, name) !== null);
}

async function rejoinDiverged(member: Member, duties: readonly MirrorDuty[]): Promise<RejoinDatabase[]> {
  const begun: RejoinDatabase[] = [];
  for (const duty of duties) {
    const one = await duty.exclusively(() => keep(member, duty.name, async () => {})).catch(() => null);
    const kept = one ?? (await keep(member, duty.name, async () => void (await duty.snapshot())));
    if (kept === null) continue;
    await prove(member, [kept]);
    await duty.orderResync(async (resync) => {
      member.context.store.transaction(() => beginOf(member, kept));
      if (isCompared(kept)) await resync.begin("resync", "rejoin");
    });
    begun.push(...reportBegun(member, [kept]));
  }
  return begun;
}

interface Kept {
  readonly surplus: Surplus;
  /** Null when there is nothing to keep but the name of an epoch. */
  readonly directory: string | null;
}

/** Also a copy that holds nothing else is compared when the journal does not lead to it any more: then it begins anew there. */
function isCompared({ surplus, directory }: Kept): boolean {
  return directory !== null || surplus.isAcross;
}

/** @param snapshot makes one of the last state, for a journal that has no way to it any more. */
async function keep(member: Member, database: string, snapshot: () => Promise<void>): Promise<Kept | null> {
  const { context } = member;
  const attempt = (): Kept | null => {
    const surplus = foundIn(member, database);
    if (surplus === null) return null;
    return { surplus, directory: surplus.transactions === 0 ? null : keepSurplus(context, surplus) };
  };
  try {
    return attempt();
  } catch (error) {
    if (!(error instanceof RestoreError)) throw error;
    context.logger.warn({ err: error, database }, "a snapshot is made, so that what is kept can be restored");
  }
  try {
    await snapshot();
    return attempt();
  } catch (cause) {
    throw new MemberError(
      "REJOIN_UNKEPT",
      `what only this member has of ${database} cannot be kept: ${messageOf(cause)}`,
      {
        cause,
        hint: "Keep its files and this member's state elsewhere: with an empty state directory it begins as a new mirror.",
      },
    );
  }
}

/** Tries to restore what is kept, while everything is still where it was. */
async function prove({ context }: Member, kept: readonly Kept[]): Promise<void> {
  const { steps } = context;
  steps.done(
    "rejoin:kept",
    kept
      .flatMap(({ directory }) => directory ?? [])
      .map((path) => `kept in ${path}`)
      .join("; "),
  );
  for (const { surplus, directory } of kept) {
    if (directory !== null) await restoreKept(context, surplus.database, directory);
  }
  steps.done("rejoin:proved", "what is kept can be restored");
}

function beginOf(member: Member, { surplus, directory }: Kept): void {
  const { context } = member;
  const { store, nowMs } = context;
  const { database } = surplus;
  const now = foundIn(member, database);
  if (now === null || keptDirectory(context, now) !== keptDirectory(context, surplus)) {
    throw new MemberError("REJOIN_UNKEPT", `${database} has moved on while what only this member has was being kept`, {
      hint: "Run the command again.",
    });
  }
  dropSurplus(context, surplus);
  if (directory !== null) store.rejoins.save({ database, directory, atMs: nowMs() });
  if (isCompared({ surplus, directory }))
    store.resyncs.save(database, { method: "resync", reason: "rejoin", atMs: nowMs() });
}

function reportBegun({ context }: Member, kept: readonly Kept[]): RejoinDatabase[] {
  const { event, history, steps } = context;
  const epoch = history.current?.epoch ?? null;
  for (const { surplus, directory } of kept) {
    const { database, transactions } = surplus;
    removeFiles(context, surplus);
    if (directory === null) continue;
    const message = `${transactions} transactions that are in no later epoch are kept; the copy is made that of epoch ${epoch}`;
    event("warn", "REJOIN_BEGUN", database, message, { directory, transactions, epoch });
  }
  steps.done("rejoin:begun", `this member is a mirror in epoch ${epoch}`);
  return kept.map(({ surplus, directory }) => {
    const { database, transactions } = surplus;
    return { database, ...positionsOf(surplus), transactions, directory, state: "rejoining" };
  });
}

/** A plan of the service, in which this member is a mirror, must be carried out before its status says what is left to do. */
async function untilServed({ context, mirrors, running }: Member): Promise<void> {
  const untilMs = performance.now() + SERVED_LIMIT_MS;
  const isServed = () => context.store.rejoins.list().every(({ database }) => mirrors.has(database));
  while (running && !isServed() && performance.now() < untilMs) await delay(POLL_MS);
}

/**
 * However long that takes: who no longer waits may go, and the daemon goes on.
 * @throws MemberError REJOIN_UNREPORTED when the copies follow again, and there is no report.
 */
async function untilDone(member: Member): Promise<void> {
  for (;;) {
    const { store, databases } = member.context;
    const pending = store.rejoins.list();
    const isComparing = [...databases.keys()].some((name) => store.resyncs.get(name)?.reason === "rejoin");
    if (!member.running || (pending.length === 0 && !isComparing)) return;
    const faults = pending.map(({ database }) => member.rejoinFaults.get(database));
    const [fault] = faults;
    if (!isComparing && fault !== undefined && !faults.includes(undefined)) {
      throw new MemberError(
        "REJOIN_UNREPORTED",
        `the copies follow again, and there is no report yet: ${fault.message}`,
        {
          hint: "What only this member had is kept, see `afterimage status`. The daemon tries again by itself.",
        },
      );
    }
    await delay(POLL_MS);
  }
}

async function resultOf(member: Member, databases: readonly RejoinDatabase[]): Promise<RejoinResult> {
  const { context, roles } = member;
  const { epoch = roles.epoch, member: operational = "" } = context.history.current ?? {};
  return { member: context.self.name, epoch, operational, databases, roles: knownRoles(await member.status()) };
}

/**
 * What a database's journal holds that is in no later epoch: found, kept below `diverged/`, and taken out of the journal.
 *
 * Guarantee: nothing leaves the journal before it is durable where it is kept, with all that a restore of its last state
 * needs (invariant I4 of docs/STATES.md).
 */
import { join } from "node:path";
import { RestoreError } from "../backup/restore-error.ts";
import { planRestore } from "../backup/restore-plan.ts";
import { keepState, keptName } from "../divergence/kept-state.ts";
import type { SegmentRow } from "../journal/segment-catalogue.ts";
import { NO_CHECKSUM, NO_TXID, type Position, toTxid } from "../ltx/position.ts";
import { samePosition } from "../roles/epoch-history.ts";
import { endOfEpoch, forkOf, isBeyond } from "./journal-epochs.ts";
import type { MemberContext } from "./member-context.ts";

/** Below a member's state. */
const DIVERGED = "diverged";

const LAST_TXID = toTxid(0x7fff_ffff_ffff_ffffn);

export interface Surplus {
  readonly database: string;
  /** The end of the journal. */
  readonly lost: Position;
  /** Where its history and that of the newest epoch part; null when they have nothing in common. */
  readonly fork: Position | null;
  /** Segments and snapshots after that, oldest first. */
  readonly rows: readonly SegmentRow[];
  /**
   * Transactions after the fork, the fence of a member that was operational among them; 0 when they have changed nothing, as
   * the fence alone does not: it is a commit of page 1 as it was, but for a byte that is part of no checksum.
   */
  readonly transactions: number;
  /** Whether a segment leads across the fork, so that the journal without the surplus ends before it. */
  readonly isAcross: boolean;
}

/** Null when the journal leads to the newest epoch. */
export function surplusOf(context: MemberContext, database: string): Surplus | null {
  const lost = context.store.database(database)?.received ?? null;
  if (lost === null || !isBeyond(context, database, lost)) return null;
  return after(context, database, { lost, fork: forkOf(context, database, lost) });
}

/**
 * As {@link surplusOf} of a member that reigned, whose journal must reach to where the next epoch begins. One that ends before
 * that was set back, or others have salvaged the rest: its numbers prove nothing then, and all of it counts as surplus.
 */
export function surplusOfDeposed(context: MemberContext, database: string): Surplus | null {
  const surplus = surplusOf(context, database);
  const lost = context.store.database(database)?.received ?? null;
  if (surplus !== null || lost === null) return surplus;
  const end = endOfEpoch(context, database, lost);
  return end === null || lost.txid >= end ? null : after(context, database, { lost, fork: null });
}

function after(context: MemberContext, database: string, { lost, fork }: Pick<Surplus, "lost" | "fork">): Surplus {
  const end = fork?.txid ?? NO_TXID;
  const rows = context.store.segments(database, { fromTxid: toTxid(end + 1n) });
  const isSame = fork !== null && fork.checksum !== NO_CHECKSUM && fork.checksum === lost.checksum;
  const isAcross = rows.some(({ kind, minTxid }) => kind === "segment" && minTxid <= end);
  return { database, lost, fork, rows, transactions: isSame ? 0 : Number(lost.txid - end), isAcross };
}

/** Where a surplus is kept. */
export function keptDirectory({ self }: MemberContext, surplus: Surplus): string {
  return join(self.state, DIVERGED, surplus.database, keptName(surplus));
}

/**
 * Keeps the surplus, and what a restore of its last state begins with. Nothing else can change the journal meanwhile.
 * @returns the directory.
 * @throws RestoreError when the journal has no way to that state: it needs a snapshot first.
 */
export function keepSurplus(context: MemberContext, surplus: Surplus): string {
  const { configuration, self, store, history, journal } = context;
  const { database, lost, fork, transactions } = surplus;
  const sources = { database, catalogue: store.catalogue, backups: [], from: "journal" } as const;
  const { base, segments } = planRestore(sources, { kind: "txid", txid: lost.txid, epoch: lost.epoch });
  const needed = base.kind === "snapshot" ? [base.row, ...segments] : segments;
  const known = new Set(surplus.rows.map(keyOf));
  const files = [...needed.filter((row) => !known.has(keyOf(row))), ...surplus.rows];
  const directory = keptDirectory(context, surplus);
  const keptAt = new Date(context.nowMs()).toISOString();
  const names = { mirror: configuration.mirror, member: self.name, database };
  const { member: operational = "", epoch = lost.epoch } = history.current ?? {};
  keepState(journal, directory, { ...names, lost, fork, transactions, operational, epoch, keptAt, files });
  return directory;
}

/** Takes the surplus, which is kept, out of the state. Call it in a transaction, and {@link removeFiles} after that. */
export function dropSurplus(context: MemberContext, surplus: Surplus): void {
  const { store, history } = context;
  const { database, lost, rows } = surplus;
  for (const row of rows) store.removeSegment(row);
  const end = newEnd(context, surplus);
  const received = end === null ? null : history.forward(database, end);
  const receivedTimeMs = store.catalogue.last(database)?.timestampMs ?? null;
  // Nothing was committed after the fork: the copy is what it was there.
  const { integrated = null } = store.database(database) ?? {};
  const isSame =
    surplus.transactions === 0 && !surplus.isAcross && integrated !== null && samePosition(integrated, lost);
  store.saveDatabase(database, { received, receivedTimeMs, ...(isSame ? { integrated: received } : {}) });
}

/** Where the journal ends without the surplus: at the fork, or before it when one segment led across it. */
function newEnd(context: MemberContext, { database, fork, isAcross }: Surplus): Position | null {
  if (!isAcross) return fork;
  const last = context.store.catalogue.last(database);
  const { integrated = null } = context.store.database(database) ?? {};
  const copy = integrated === null || isBeyond(context, database, integrated) ? null : integrated;
  if (last === null) return copy;
  const end = { epoch: last.epoch, txid: last.maxTxid, checksum: last.postApplyChecksum };
  return copy !== null && copy.txid > end.txid ? copy : end;
}

/**
 * What a mirror has received of an epoch after its end, and not integrated, needs nobody's decision: it is kept, and the mirror
 * goes on. Nothing else can change the journal or the copy meanwhile.
 * @returns whether there was any.
 */
export function setAside(context: MemberContext, database: string): boolean {
  const { received: lost = null, integrated = null, intent = null } = context.store.database(database) ?? {};
  if (lost === null || intent !== null || !isBeyond(context, database, lost)) return false;
  const fork = forkOf(context, database, lost);
  const isIntegrated = integrated !== null && isBeyond(context, database, integrated);
  // Asked at every turn of a copy that has diverged: its segments need not be looked at.
  if (fork === null || (isIntegrated && fork.checksum !== lost.checksum)) return false;
  const surplus = after(context, database, { lost, fork });
  const isSame = surplus.transactions === 0;
  if (isIntegrated && (!isSame || surplus.isAcross)) return false;
  let directory: string | null = null;
  try {
    if (!isSame) directory = keepSurplus(context, surplus);
  } catch (error) {
    // Without a way to that state it takes a snapshot first, which `rejoin` makes.
    if (error instanceof RestoreError) return false;
    throw error;
  }
  context.store.transaction(() => dropSurplus(context, surplus));
  removeFiles(context, surplus);
  if (directory !== null) {
    const message = `${surplus.transactions} transactions that are in no later epoch were received and are kept aside`;
    context.event("warn", "SURPLUS_KEPT", database, message, { directory, transactions: surplus.transactions });
  }
  return true;
}

/** What a crash left in former epochs of the files of what was dropped. Returns their paths, below the journal's directory. */
export function leftOfDropped({ history, journal }: MemberContext, database: string, except: number): string[] {
  return history.epochs.flatMap(({ epoch }) => {
    const end = history.clamp(database, { epoch, txid: LAST_TXID });
    return epoch === except || end === LAST_TXID ? [] : journal.removeStray(database, epoch, end);
  });
}

/** The files of what was dropped; those that a crash leaves go at the next start. */
export function removeFiles({ journal, space, journalGrew }: MemberContext, { database, rows }: Surplus): void {
  for (const row of rows) {
    journal.remove(row);
    space.grew(-row.bytes);
  }
  journalGrew(database);
}

function keyOf({ epoch, kind, minTxid, maxTxid }: SegmentRow): string {
  return `${epoch} ${kind} ${minTxid} ${maxTxid}`;
}

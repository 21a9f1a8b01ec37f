/**
 * Where one database's journal passes from one epoch to the next. A position at which a later epoch begins is of that epoch
 * from then on, so that what follows it is always of the epoch that it names.
 */
import type { SegmentRow } from "../journal/segment-catalogue.ts";
import { formatPosition, NO_TXID, type Position, type Txid } from "../ltx/position.ts";
import { arrivedSnapshots } from "./inbox-entries.ts";
import type { MemberContext } from "./member-context.ts";
import { MemberError } from "./member-error.ts";

type Known = Pick<MemberContext, "history" | "epoch">;

/** In which epoch the transaction after `txid` is. */
export function epochAfter({ history, epoch }: Known, database: string, txid: Txid): number {
  return history.epochAfter(database, txid) ?? epoch;
}

/** Where the next segment of a database arrives. */
export function arrivalEpoch(context: MemberContext, database: string): number {
  const received = context.store.database(database)?.received ?? null;
  if (received === null) return firstEpoch(context, database);
  return isBeyond(context, database, received) ? context.epoch : received.epoch;
}

/** A mirror that has nothing yet begins with a snapshot, which may be of a former epoch. */
function firstEpoch({ self, history, epoch }: MemberContext, database: string): number {
  const usable = arrivedSnapshots(self.directory, database).filter(
    (each) => each.epoch === epoch || history.clamp(database, each) === each.txid,
  );
  return usable.length === 0 ? epoch : Math.max(...usable.map((each) => each.epoch));
}

/** The last transaction of the epoch that `received` is of; null while that epoch goes on. */
export function endOfEpoch({ history }: Known, database: string, received: Position): Txid | null {
  const standing = history.standing(database, received);
  return standing.kind === "within" ? standing.end.txid : null;
}

/** Whether a database holds what is in no later epoch. */
export function isBeyond({ history }: Known, database: string, position: Position): boolean {
  if (history.current === null || history.current.epoch < position.epoch) return false;
  const { kind } = history.standing(database, position);
  return kind === "beyond" || kind === "foreign";
}

/**
 * The last transaction that readers of the copy have seen, of those that the newest epoch goes back to: a copy may go back
 * behind one that it does not.
 */
export function seenTxid(context: Pick<MemberContext, "history" | "epoch" | "store">, database: string): Txid {
  const integrated = context.store.database(database)?.integrated ?? null;
  if (integrated === null) return NO_TXID;
  return lineTxid(context, database, integrated);
}

/** Up to which transaction a position is of the history that leads to the newest epoch. */
export function lineTxid(context: Known, database: string, position: Position): Txid {
  return isBeyond(context, database, position) ? context.history.clamp(database, position) : position.txid;
}

/**
 * The last state of what led to `position` that the newest epoch goes back to; the position itself when that is such a state,
 * null when there is none.
 */
export function forkOf({ history }: Known, database: string, position: Position): Position | null {
  let at = position;
  for (;;) {
    const standing = history.standing(database, at);
    if (standing.kind === "beyond") return standing.end;
    if (standing.kind !== "foreign") return at;
    const start = history.epochs.find(({ epoch }) => epoch === at.epoch)?.starts[database];
    if (start === undefined) return null;
    at = start;
  }
}

/** @throws MemberError DIVERGED when this member's copy, or journal, holds what is in no later epoch. */
export function assertNotDiverged(context: Pick<MemberContext, "history" | "epoch" | "store">, database: string): void {
  const received = context.store.database(database)?.received ?? null;
  if (received === null || !isBeyond(context, database, received)) return;
  const { current } = context.history;
  throw new MemberError(
    "DIVERGED",
    `this member has ${database} at ${formatPosition(received)}, which is not in epoch ${current?.epoch} of ${current?.member}`,
    {
      hint: "Run `afterimage rejoin` on this member: it keeps what only this copy has, and makes the copy follow again.",
    },
  );
}

/** The newest snapshot of what leads to the newest epoch; null when there is none. */
export function newestSnapshot(
  context: Pick<MemberContext, "history" | "epoch" | "store">,
  database: string,
): SegmentRow | null {
  const { catalogue } = context.store;
  for (const epoch of catalogue.epochs(database)) {
    const snapshot = catalogue.latestSnapshot(database, epoch);
    if (snapshot === null) continue;
    const { maxTxid: txid, postApplyChecksum: checksum } = snapshot;
    if (!isBeyond(context, database, { epoch, txid, checksum })) return snapshot;
  }
  return null;
}

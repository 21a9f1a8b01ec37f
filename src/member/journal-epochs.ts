/**
 * Where one database's journal passes from one epoch to the next. A position at which a later epoch begins is of that epoch
 * from then on, so that what follows it is always of the epoch that it names.
 */
import type { SegmentRow } from "../journal/segment-catalogue.ts";
import { formatPosition, type Position, type Txid } from "../ltx/position.ts";
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

/** @throws MemberError DIVERGED when this member's copy, or journal, holds what is in no later epoch. */
export function assertNotDiverged(context: Pick<MemberContext, "history" | "epoch" | "store">, database: string): void {
  const received = context.store.database(database)?.received ?? null;
  if (received === null || !isBeyond(context, database, received)) return;
  const { current } = context.history;
  throw new MemberError(
    "DIVERGED",
    `this member has ${database} at ${formatPosition(received)}, which is not in epoch ${current?.epoch} of ${current?.member}`,
    { hint: "Keep the copy: what only it has is in it. docs/STATES.md says how this member follows again." },
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

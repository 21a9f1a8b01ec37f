/** What a follower gets next of one database's journal. */
import type { SegmentRow } from "../journal/segment-catalogue.ts";
import { formatSegmentName } from "../journal/segment-name.ts";
import type { Txid } from "../ltx/position.ts";
import { inboxDirectory } from "./inbox-directory.ts";
import { epochAfter, isBeyond, newestSnapshot } from "./journal-epochs.ts";
import type { MemberContext } from "./member-context.ts";

/** Segments of one database that are shipped before the next database has its turn. */
const TURN_SEGMENTS = 500;

/** A file of the journal, or one that was merged of some. */
export type ShippedFile = Pick<SegmentRow, "database" | "epoch" | "minTxid" | "maxTxid" | "bytes">;

/** Where it goes in a follower's mailbox. */
export function inboxName(file: ShippedFile): string {
  return `${inboxDirectory(file.database, file.epoch)}/${formatSegmentName(file)}`;
}

/** The next segments after `shipped`; the newest snapshot first when the follower has nothing, or too little to go on from. */
export function dueSegments(context: MemberContext, database: string, shipped: Txid): SegmentRow[] {
  if (shipped >= (context.store.database(database)?.received?.txid ?? 0n)) return [];
  const segments = segmentsAfter(context, database, shipped);
  const [first] = segments;
  if (shipped > 0n && first !== undefined && first.minTxid <= shipped + 1n) return segments;
  const snapshot = newestSnapshot(context, database);
  if (snapshot === null || snapshot.maxTxid <= shipped) return [];
  return [snapshot, ...segmentsAfter(context, database, snapshot.maxTxid)];
}

/** All of one epoch: those of the next one are for the next pass. */
function segmentsAfter(context: MemberContext, database: string, txid: Txid): SegmentRow[] {
  const epoch = epochAfter(context, database, txid);
  const filter = { epoch, kind: "segment", fromTxid: (txid + 1n) as Txid, limit: TURN_SEGMENTS } as const;
  const segments = context.store.segments(database, filter);
  const isOfLater = ({ maxTxid, postApplyChecksum }: SegmentRow) =>
    isBeyond(context, database, { epoch, txid: maxTxid, checksum: postApplyChecksum });
  const end = segments.findIndex(isOfLater);
  return end < 0 ? segments : segments.slice(0, end);
}

/** What a journal holds, as `afterimage segments` shows it. */
import { formatChecksum, formatTxid, parseTxid } from "../ltx/position.ts";
import type { MemberContext } from "./member-context.ts";
import type { SegmentFilter, SegmentView } from "./member-control.ts";

const DEFAULT_LIMIT = 50;

/** The newest of one database that the filter lets through, oldest first. */
export function listSegments(
  { store, journal }: MemberContext,
  database: string,
  { epoch, kind, txid, since, until, limit = DEFAULT_LIMIT }: SegmentFilter,
): SegmentView[] {
  const held = txid === undefined ? null : parseTxid(txid);
  const rows = store.segments(database, {
    ...(epoch === undefined ? {} : { epoch }),
    ...(kind === undefined ? {} : { kind }),
    ...(held === null ? {} : { fromTxid: held, toTxid: held }),
    ...(since === undefined ? {} : { sinceMs: Date.parse(since) }),
    ...(until === undefined ? {} : { untilMs: Date.parse(until) }),
    limit,
    order: "newest",
  });
  return rows.reverse().map((row) => ({
    database,
    epoch: row.epoch,
    kind: row.kind,
    minTxid: formatTxid(row.minTxid),
    maxTxid: formatTxid(row.maxTxid),
    bytes: row.bytes,
    pages: row.pages,
    time: new Date(row.timestampMs).toISOString(),
    preApplyChecksum: formatChecksum(row.preApplyChecksum),
    postApplyChecksum: formatChecksum(row.postApplyChecksum),
    path: journal.path(row),
  }));
}

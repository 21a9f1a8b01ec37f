/** Catalogue rows as short literals. */
import type { SegmentRow } from "../../src/journal/segment-catalogue.ts";
import { CHECKSUM_FLAG, NO_CHECKSUM, toChecksum, toTxid } from "../../src/ltx/position.ts";

/** The checksum of the database at a TXID, in tests. */
export function stateAt(txid: number | bigint) {
  return toChecksum(CHECKSUM_FLAG | BigInt(txid));
}

/** A segment of `orders` in epoch 1 that continues the state before it. */
export function segmentRow(min: number | bigint, max: number | bigint, changes: Partial<SegmentRow> = {}): SegmentRow {
  return {
    database: "orders",
    epoch: 1,
    kind: "segment",
    minTxid: toTxid(BigInt(min)),
    maxTxid: toTxid(BigInt(max)),
    preApplyChecksum: stateAt(BigInt(min) - 1n),
    postApplyChecksum: stateAt(max),
    bytes: 5,
    pages: 1,
    timestampMs: 1_700_000_000_000,
    addedAtMs: 1_700_000_000_500,
    ...changes,
  };
}

export function snapshotRow(max: number | bigint, changes: Partial<SegmentRow> = {}): SegmentRow {
  return segmentRow(1, max, { kind: "snapshot", preApplyChecksum: NO_CHECKSUM, ...changes });
}

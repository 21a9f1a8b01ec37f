/** Cutting: a run of pages becomes a durable segment (or snapshot) file in the journal. */
import { crc32 } from "node:zlib";
import type { Journal, SegmentWriter } from "../journal/journal.ts";
import type { SegmentHeader } from "../ltx/header.ts";
import type { Checksum, Txid } from "../ltx/position.ts";
import { SegmentEncoder } from "../ltx/segment-encoder.ts";
import type { PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import type { Page } from "../sqlite/page-run.ts";
import { Turns } from "../sqlite/turns.ts";

export interface SegmentPlan {
  readonly database: string;
  readonly epoch: number;
  readonly kind: "segment" | "snapshot";
  readonly minTxid: Txid;
  readonly maxTxid: Txid;
  readonly pageSize: number;
  /** Database size in pages after the segment. */
  readonly pageCount: number;
  /** The database's checksum before the segment; 0 for a snapshot. */
  readonly preApplyChecksum: Checksum;
  readonly timestampMs: number;
  readonly nodeId: bigint;
  /** The stretch of the WAL that the segment was cut from: it ends at `offset + size`. */
  readonly wal: { readonly offset: bigint; readonly size: bigint; readonly salt1: number; readonly salt2: number };
}

export interface CutSegment {
  readonly postApplyChecksum: Checksum;
  readonly bytes: number;
  readonly pages: number;
}

/** LTX NodeID: the epoch in the high 32 bits, the CRC-32 of the member's name in the low. */
export function nodeId(epoch: number, member: string): bigint {
  return (BigInt(epoch) << 32n) | BigInt(crc32(member));
}

/**
 * Writes the segment and makes it durable. `pages` must stage every page's checksum in `table` as it gives the page out,
 * so that the table's checksum at the end is the database's. The caller records the result in the catalogue together
 * with the flushed table; when this throws, nothing is left behind but staged checksums, which the caller discards.
 */
export async function cutSegment(
  journal: Journal,
  table: PageChecksumTable,
  pages: Iterable<Page>,
  plan: SegmentPlan,
): Promise<CutSegment> {
  const writer = journal.create(plan);
  try {
    const encoder = new SegmentEncoder(writer, headerOf(plan));
    const turns = new Turns();
    for (const page of pages) {
      encoder.writePage(page.pgno, page.data);
      await turns.spent(plan.pageSize);
    }
    const postApplyChecksum = table.checksum;
    const trailer = encoder.finish(postApplyChecksum);
    writer.commit();
    return { postApplyChecksum, bytes: trailer.bytes, pages: trailer.pages };
  } catch (error) {
    abandon(writer);
    throw error;
  }
}

function headerOf(plan: SegmentPlan): SegmentHeader {
  return {
    flags: 0,
    pageSize: plan.pageSize,
    commit: plan.pageCount,
    minTxid: plan.minTxid,
    maxTxid: plan.maxTxid,
    timestampMs: plan.timestampMs,
    preApplyChecksum: plan.preApplyChecksum,
    walOffset: plan.wal.offset,
    walSize: plan.wal.size,
    walSalt1: plan.wal.salt1,
    walSalt2: plan.wal.salt2,
    nodeId: plan.nodeId,
  };
}

function abandon(writer: SegmentWriter): void {
  try {
    writer.abort();
  } catch {
    // The error that made us abandon it says more than this one; a stray part file is removed at the next start.
  }
}

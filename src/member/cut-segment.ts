/** Cutting: a run of pages becomes a durable segment (or snapshot) file in the journal. */
import type { SegmentRef, SegmentWriter } from "../journal/journal.ts";
import { HEADER_FLAG_NO_CHECKSUM, type SegmentHeader } from "../ltx/header.ts";
import { formatNodeId } from "../ltx/node-id.ts";
import { type Checksum, NO_CHECKSUM, type Txid } from "../ltx/position.ts";
import { SegmentEncoder } from "../ltx/segment-encoder.ts";
import type { Page } from "../sqlite/page-run.ts";
import { Turns } from "../sqlite/turns.ts";
import { frameOffset, type WalPosition } from "../sqlite/wal-format.ts";
import type { MemberContext } from "./member-context.ts";

/** A file that is being written asks for room again after so many bytes. */
export const PROGRESS_BYTES = 1024 * 1024;

export interface SegmentPlan {
  readonly database: string;
  readonly epoch: number;
  readonly kind: "segment" | "snapshot";
  readonly minTxid: Txid;
  readonly maxTxid: Txid;
  readonly pageSize: number;
  /** Database size in pages after the segment. */
  readonly pageCount: number;
  /** The database's checksum before the segment; 0 for a snapshot, and for a segment that does not track it. */
  readonly preApplyChecksum: Checksum;
  readonly timestampMs: number;
  readonly nodeId: bigint;
  /** The stretch of the WAL that the segment was cut from: it ends at `offset + size`. */
  readonly wal: { readonly offset: bigint; readonly size: bigint; readonly salt1: number; readonly salt2: number };
}

/** What a segment is made of. */
export interface SegmentContents {
  readonly pages: Iterable<Page>;
  /**
   * The database's checksum with the pages; asked for after the last one, of which it may throw that it is wrong.
   * @param written the checksum over the pages themselves, which for a snapshot is the database's.
   */
  checksum(written: Checksum): Checksum;
  /** Called now and then with the bytes written so far, so that a file without end is given up: what it throws is thrown. */
  onProgress(bytes: number): void;
}

export interface CutSegment {
  readonly postApplyChecksum: Checksum;
  readonly bytes: number;
  readonly pages: number;
}

/** The NodeID of what this member commits to a database. */
function ownNodeId({ configuration, self, epoch }: MemberContext, database: string): bigint {
  return formatNodeId(epoch, { mirror: configuration.mirror, database, member: self.name });
}

interface PlannedRun {
  readonly pageSize: number;
  readonly pageCount: number;
  /** Where in the WAL the run ends. */
  readonly position: WalPosition;
}

/** The plan of a segment of this member's whose pages are not a stretch of the WAL: a snapshot or a resync. */
export function planSegment(
  context: MemberContext,
  ref: Omit<SegmentRef, "epoch">,
  run: PlannedRun,
  preApplyChecksum: Checksum,
): SegmentPlan {
  const { salt1, salt2, frame } = run.position;
  return {
    ...ref,
    epoch: context.epoch,
    pageSize: run.pageSize,
    pageCount: run.pageCount,
    preApplyChecksum,
    timestampMs: context.nowMs(),
    nodeId: ownNodeId(context, ref.database),
    wal: { offset: BigInt(frameOffset(frame + 1, run.pageSize)), size: 0n, salt1, salt2 },
  };
}

/**
 * Writes the segment and makes it durable. The caller records the result in the catalogue; when this throws, no file is
 * left behind.
 */
export async function cutSegment(
  writer: SegmentWriter,
  contents: SegmentContents,
  plan: SegmentPlan,
): Promise<CutSegment> {
  try {
    const encoder = new SegmentEncoder(writer, headerOf(plan));
    const turns = new Turns();
    let reportAt = PROGRESS_BYTES;
    for (const page of contents.pages) {
      encoder.writePage(page.pgno, page.data);
      if (writer.bytes >= reportAt) {
        contents.onProgress(writer.bytes);
        reportAt = writer.bytes + PROGRESS_BYTES;
      }
      await turns.spent(plan.pageSize);
    }
    const postApplyChecksum = contents.checksum(encoder.pagesChecksum);
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
    flags: plan.kind === "segment" && plan.preApplyChecksum === NO_CHECKSUM ? HEADER_FLAG_NO_CHECKSUM : 0,
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

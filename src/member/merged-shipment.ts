/**
 * One file in place of many, for a follower that is far behind: the newest image of every page in a run of segments.
 * To the follower it is a segment like any other; it covers the transactions of all of them.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { formatSegmentName } from "../journal/segment-name.ts";
import { SegmentWriter } from "../journal/segment-writer.ts";
import type { Txid } from "../ltx/position.ts";
import { cutSegment, type SegmentContents } from "./cut-segment.ts";
import type { Batch } from "./integration-batch.ts";
import type { MemberContext } from "./member-context.ts";
import { mergeSegments } from "./merged-segments.ts";

export interface MergedShipment {
  readonly path: string;
  readonly database: string;
  readonly epoch: number;
  readonly minTxid: Txid;
  readonly maxTxid: Txid;
  readonly bytes: number;
}

/** Where a shipper makes its merged files; what a crash left there is of no use. */
export function emptyOutbox(context: MemberContext, follower: string): string {
  const directory = join(context.self.state, "outbox", follower);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** Merges a batch of segments into a file below `outbox`; the caller removes it. The pages are held in memory meanwhile. */
export async function mergeForShipment(context: MemberContext, outbox: string, batch: Batch): Promise<MergedShipment> {
  const [first] = batch.rows;
  const { last } = batch;
  const { database, epoch } = last;
  const { minTxid } = first;
  const { maxTxid } = last;
  const path = join(outbox, `${database}-${formatSegmentName({ minTxid, maxTxid })}`);
  // Whose commits they are does not change by merging them.
  const { nodeId } = context.journal.readHeader(last);
  const sources = batch.rows.map((row) => context.journal.open(row));
  try {
    const { run, verifyEnd } = mergeSegments(sources, last.postApplyChecksum);
    const contents: SegmentContents = {
      pages: run.pages(),
      checksum: () => {
        verifyEnd();
        return last.postApplyChecksum;
      },
      onProgress: () => undefined,
    };
    const { bytes } = await cutSegment(new SegmentWriter(path), contents, {
      database,
      epoch,
      kind: "segment",
      minTxid,
      maxTxid,
      pageSize: run.pageSize,
      pageCount: run.pageCount,
      preApplyChecksum: first.preApplyChecksum,
      timestampMs: last.timestampMs,
      nodeId,
      wal: { offset: 0n, size: 0n, salt1: 0, salt2: 0 },
    });
    return { path, database, epoch, minTxid, maxTxid, bytes };
  } finally {
    for (const source of sources) source.close();
  }
}

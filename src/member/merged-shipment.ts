/**
 * One file in place of many, for a follower that is far behind: the newest image of every page in a run of segments.
 * To the follower it is a segment like any other; it covers the transactions of all of them.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { formatSegmentName } from "../journal/segment-name.ts";
import { SegmentWriter } from "../journal/segment-writer.ts";
import { HEADER_FLAG_NO_CHECKSUM } from "../ltx/header.ts";
import { NO_CHECKSUM, type Txid } from "../ltx/position.ts";
import { SegmentEncoder } from "../ltx/segment-encoder.ts";
import { Turns } from "../sqlite/turns.ts";
import { nodeId } from "./cut-segment.ts";
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
  const sources = batch.rows.map((row) => context.journal.open(row));
  const writer = new SegmentWriter(path);
  try {
    const { run, verifyEnd } = mergeSegments(sources, last.postApplyChecksum);
    const tracked = last.postApplyChecksum !== NO_CHECKSUM;
    const encoder = new SegmentEncoder(writer, {
      flags: tracked ? 0 : HEADER_FLAG_NO_CHECKSUM,
      pageSize: run.pageSize,
      commit: run.pageCount,
      minTxid,
      maxTxid,
      timestampMs: last.timestampMs,
      preApplyChecksum: first.preApplyChecksum,
      walOffset: 0n,
      walSize: 0n,
      walSalt1: 0,
      walSalt2: 0,
      nodeId: nodeId(epoch, context.self.name),
    });
    const turns = new Turns();
    for (const { pgno, data } of run.pages()) {
      encoder.writePage(pgno, data);
      await turns.spent(data.length);
    }
    verifyEnd();
    const { bytes } = encoder.finish(last.postApplyChecksum);
    writer.commit();
    return { path, database, epoch, minTxid, maxTxid, bytes };
  } finally {
    writer.abort();
    for (const source of sources) source.close();
  }
}

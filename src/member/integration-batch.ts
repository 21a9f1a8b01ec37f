/** Which waiting segments become one commit of a mirror. */
import { z } from "zod";
import type { SegmentCatalogue, SegmentRow } from "../journal/segment-catalogue.ts";
import type { DatabaseRow } from "../journal/state-store.ts";
import { formatChecksum, NO_CHECKSUM, type Txid } from "../ltx/position.ts";
import { MERGE_WINDOW_BYTES } from "./merged-segments.ts";

/** Segments are merged in memory up to this many bytes of pages. */
const IN_MEMORY_BYTES = 32 * 1024 * 1024;
/**
 * Merged as streams they cost no memory; but the checkpoint after a commit should not take long. A commit has no more pages
 * than the database, however often they were changed.
 */
const STREAMED_BYTES = 128 * 1024 * 1024;
const STREAMED_OF_SMALL_BYTES = 4 * STREAMED_BYTES;
/** What may be held of segments that are read side by side. It also bounds how many files are open. */
const HELD_BYTES = 32 * 1024 * 1024;
const BATCH_SEGMENTS = 5_000;

/** Contiguous segments, or one snapshot. */
export interface Batch {
  readonly rows: readonly [SegmentRow, ...SegmentRow[]];
  readonly last: SegmentRow;
  readonly snapshot: boolean;
}

/**
 * What was about to be integrated. After a crash exactly this is integrated again, because readers may have seen it.
 * Kept in the state as JSON.
 */
const intentSchema = z.object({
  toTxid: z.string().regex(/^\d+$/),
  snapshot: z.boolean(),
  /** Database size in pages after it. */
  pageCount: z.int(),
  /** Database checksum after it, 16 hexadecimal digits; null when the segments do not track it. */
  checksum: z.string().nullable(),
});

export type IntegrationIntent = z.infer<typeof intentSchema>;

export function intentOf(batch: Batch, pageCount: number): IntegrationIntent {
  const { maxTxid, postApplyChecksum } = batch.last;
  const checksum = postApplyChecksum === NO_CHECKSUM ? null : formatChecksum(postApplyChecksum);
  return { toTxid: maxTxid.toString(), snapshot: batch.snapshot, pageCount, checksum };
}

/** The intent in a database's row; null when nothing was begun. */
export function parseIntent(stored: unknown): IntegrationIntent | null {
  return stored === null || stored === undefined ? null : intentSchema.parse(stored);
}

/**
 * The next batch for a mirror whose row is `row`; null when nothing can be integrated now. What was begun is finished first,
 * whatever `passes` says.
 * @param passes whether a segment may be integrated now; a batch ends before the first that may not.
 * @param most segments, of what was not begun.
 */
export function nextBatch(
  catalogue: SegmentCatalogue,
  name: string,
  row: DatabaseRow | null,
  passes: (segment: SegmentRow) => boolean = () => true,
  most = BATCH_SEGMENTS,
): Batch | null {
  const integrated = row?.integrated?.txid ?? (0n as Txid);
  const begun = parseIntent(row?.intent);
  // Asked every few seconds of every database, so that it should cost nothing while nothing waits.
  if (begun === null && isAtEnd(row)) return null;
  // A batch is of one epoch: it ends where a later one begins.
  const epoch = row?.integrated?.epoch;
  const filter = {
    ...(epoch === undefined ? {} : { epoch }),
    kind: "segment",
    fromTxid: (integrated + 1n) as Txid,
  } as const;
  const isNext = (segment: SegmentRow) => integrated > 0n && segment.minTxid <= integrated + 1n;
  if (begun !== null && !begun.snapshot) {
    const segments = catalogue.list(name, filter);
    const [first] = segments;
    if (first !== undefined && isNext(first)) return contiguousBatch(segments, 0, { toTxid: BigInt(begun.toTxid) });
  }
  if (begun === null) {
    // Most of what is held back is asked for again and again.
    const [first] = catalogue.list(name, { ...filter, limit: 1 });
    if (first !== undefined && isNext(first)) {
      if (!passes(first)) return null;
      const segments = catalogue.list(name, { ...filter, limit: most });
      const end = segments.findIndex((segment) => !passes(segment));
      const next = end < 0 ? segments : segments.slice(0, end);
      return contiguousBatch(next, row?.pageSize ?? 0, { maxBytes: mergedBytes(first, row) });
    }
  }
  const last = newestSnapshot(catalogue, name, epoch, (snapshot) => begun !== null || passes(snapshot));
  return last === null || last.maxTxid <= integrated ? null : { rows: [last], last, snapshot: true };
}

function mergedBytes(first: SegmentRow, row: DatabaseRow | null): number {
  if (first.postApplyChecksum === NO_CHECKSUM) return IN_MEMORY_BYTES;
  const isSmall = (row?.pageCount ?? 0) * (row?.pageSize ?? 0) <= STREAMED_BYTES;
  return isSmall ? STREAMED_OF_SMALL_BYTES : STREAMED_BYTES;
}

function newestSnapshot(
  catalogue: SegmentCatalogue,
  name: string,
  epoch: number | undefined,
  passes: (segment: SegmentRow) => boolean,
): SegmentRow | null {
  const filter = { ...(epoch === undefined ? {} : { epoch }), kind: "snapshot", order: "newest" } as const;
  const [newest] = catalogue.list(name, { ...filter, limit: 1 });
  if (newest === undefined || passes(newest)) return newest ?? null;
  return catalogue.list(name, filter).find(passes) ?? null;
}

function isAtEnd(row: DatabaseRow | null): boolean {
  const { received, integrated } = row ?? {};
  return integrated != null && received?.epoch === integrated.epoch && received.txid === integrated.txid;
}

/**
 * The longest run of contiguous segments with no more than `maxBytes` of pages, at least the first; or, when `toTxid` is given,
 * exactly up to there. Null when there are no segments.
 * @param maxBytes what may be merged in memory, when not given.
 */
export function contiguousBatch(
  segments: readonly SegmentRow[],
  pageSize: number,
  { toTxid = null, maxBytes = IN_MEMORY_BYTES }: { toTxid?: bigint | null; maxBytes?: number } = {},
): Batch | null {
  const rows: SegmentRow[] = [];
  let bytes = 0;
  let held = 0;
  for (const segment of segments) {
    const contiguous = rows.length === 0 || segment.minTxid <= (rows.at(-1)?.maxTxid ?? 0n) + 1n;
    bytes += segment.pages * pageSize;
    held += Math.min(segment.bytes, MERGE_WINDOW_BYTES);
    const isSmall = rows.length === 0 || (bytes <= maxBytes && held <= HELD_BYTES);
    const fits = toTxid === null ? isSmall : segment.maxTxid <= toTxid;
    if (!contiguous || !fits) break;
    rows.push(segment);
  }
  const [first, ...rest] = rows;
  return first === undefined ? null : { rows: [first, ...rest], last: rest.at(-1) ?? first, snapshot: false };
}

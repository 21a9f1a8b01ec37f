/**
 * Waiting segments as one change: the newest image of every page, and the state after the last segment.
 *
 * One segment is streamed, so that its size does not matter. So are several of this member's own journal; others are merged in
 * memory, so the caller bounds their sum.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ByteSource } from "../ltx/byte-io.ts";
import { type Checksum, NO_CHECKSUM } from "../ltx/position.ts";
import { SegmentDecoder, type SegmentPage } from "../ltx/segment-decoder.ts";
import type { Page, PageRun } from "../sqlite/page-run.ts";
import { NumberHeap } from "./number-heap.ts";

/** What is held of each segment that is read beside many others: two frames of the largest page. */
export const MERGE_WINDOW_BYTES = 136 * 1024;

/** Between two turns of the event loop. */
const OPENED_PER_TURN = 100;

/** A file that is read until it is closed; twice is harmless. */
interface OpenSource extends ByteSource {
  close(): void;
}

export interface MergedChange {
  readonly run: PageRun;
  /** The database's checksum after the change; null when the segments do not track it (Litestream's). */
  readonly expectedChecksum: Checksum | null;
  /** Throws SegmentError when a segment turns out to be bad at its end; call after the last page. */
  verifyEnd(): void;
}

/**
 * @param sources contiguous segments, oldest first, at least one.
 * @param postApplyChecksum that of the last one, as the catalogue has it; 0 when it is not tracked.
 */
export function mergeSegments(sources: readonly ByteSource[], postApplyChecksum: Checksum): MergedChange {
  const expectedChecksum = postApplyChecksum === NO_CHECKSUM ? null : postApplyChecksum;
  const [only] = sources;
  if (only === undefined) throw new RangeError("no segments to merge");
  return sources.length === 1 ? streamed(only, expectedChecksum) : merged(sources, expectedChecksum);
}

/**
 * As {@link mergeSegments} for segments of this member's own journal, which were found intact when they came: of each page
 * only the newest image is read, so that neither memory nor work grows with how often a page was changed. That nothing has
 * happened to the files since is for the database checksum to prove; segments that track none are merged and checked whole.
 * @param open opens contiguous segments, oldest first, at least one. What is open is closed when the change is disposed of.
 */
export async function mergeProven(
  open: readonly (() => OpenSource)[],
  postApplyChecksum: Checksum,
): Promise<MergedChange & Disposable> {
  const sources: OpenSource[] = [];
  const close = () => {
    for (const source of sources) source.close();
  };
  try {
    if (open.length === 1 || postApplyChecksum === NO_CHECKSUM) {
      for (const each of open) sources.push(each());
      return { ...mergeSegments(sources, postApplyChecksum), [Symbol.dispose]: close };
    }
    return { ...sideBySide(await openAll(open, sources), postApplyChecksum), [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

/** @param sources gets what was opened. */
async function openAll(open: readonly (() => OpenSource)[], sources: OpenSource[]): Promise<SegmentDecoder[]> {
  const decoders: SegmentDecoder[] = [];
  // Only one page is looked at at a time.
  let page = new Uint8Array(0);
  for (const each of open) {
    const source = each();
    sources.push(source);
    const decoder = new SegmentDecoder(source, { windowBytes: MERGE_WINDOW_BYTES, page });
    // All of it has been read: thousands of small files need not be open at once.
    if (source.size <= MERGE_WINDOW_BYTES) source.close();
    const { pageSize } = decoder.header;
    if (page.length !== pageSize) page = new Uint8Array(pageSize);
    decoders.push(decoder);
    if (decoders.length % OPENED_PER_TURN === 0) await nextTurn();
  }
  return decoders;
}

function sideBySide(decoders: readonly SegmentDecoder[], expectedChecksum: Checksum): MergedChange {
  const newest = decoders.at(-1);
  if (newest === undefined) throw new RangeError("no segments to merge");
  const { pageSize, commit: pageCount } = newest.header;
  const run = { pageSize, pageCount, pages: () => newestPages(decoders.toReversed(), pageCount) };
  return { run, expectedChecksum, verifyEnd: () => undefined };
}

/** @param decoders newest first: of those that stand at one page, the first has its newest image. */
function* newestPages(decoders: readonly SegmentDecoder[], pageCount: number): Generator<Page> {
  const count = decoders.length;
  const heap = new NumberHeap();
  const advance = (age: number) => {
    const pgno = decoders[age]?.advance() ?? null;
    if (pgno !== null) heap.push(pgno * count + age);
  };
  for (let age = 0; age < count; age++) advance(age);
  let last = 0;
  for (let next = heap.pop(); next !== null; next = heap.pop()) {
    const age = next % count;
    const pgno = (next - age) / count;
    // What the database was cut off by is in older segments only.
    if (pgno > pageCount) return;
    const decoder = decoders[age];
    if (pgno !== last && decoder !== undefined) yield decoder.read();
    last = pgno;
    advance(age);
  }
}

function streamed(source: ByteSource, expectedChecksum: Checksum | null): MergedChange {
  const decoder = new SegmentDecoder(source);
  return {
    run: { pageSize: decoder.header.pageSize, pageCount: decoder.header.commit, pages: () => pagesOf(decoder) },
    expectedChecksum,
    verifyEnd: () => {
      decoder.finish();
    },
  };
}

function merged(sources: readonly ByteSource[], expectedChecksum: Checksum | null): MergedChange {
  const newest = new Map<number, Page>();
  let pageSize = 0;
  let pageCount = 0;
  for (const source of sources) {
    const decoder = new SegmentDecoder(source);
    for (const { pgno, data, checksum } of pagesOf(decoder))
      newest.set(pgno, { pgno, data: data.slice(), checksum: checksum.slice() });
    decoder.finish();
    ({ pageSize, commit: pageCount } = decoder.header);
  }
  const ordered = [...newest.values()].filter(({ pgno }) => pgno <= pageCount).sort((a, b) => a.pgno - b.pgno);
  return {
    run: { pageSize, pageCount, pages: () => ordered },
    expectedChecksum,
    verifyEnd: () => undefined,
  };
}

/** The pages of a segment, from the one that the decoder stands before. */
export function* pagesOf(decoder: SegmentDecoder): Generator<SegmentPage> {
  for (let page = decoder.next(); page !== null; page = decoder.next()) yield page;
}

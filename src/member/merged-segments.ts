/**
 * Waiting segments as one change: the newest image of every page, and the state after the last segment.
 *
 * One segment is streamed, so that its size does not matter. Several are merged in memory, so the caller bounds their
 * sum (DESIGN: "merged, newest page wins, into one commit of bounded size").
 */
import type { ByteSource } from "../ltx/byte-io.ts";
import { type Checksum, NO_CHECKSUM } from "../ltx/position.ts";
import { SegmentDecoder } from "../ltx/segment-decoder.ts";
import type { PageRun } from "../sqlite/page-run.ts";

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
  const newest = new Map<number, Uint8Array>();
  let pageSize = 0;
  let pageCount = 0;
  for (const source of sources) {
    const decoder = new SegmentDecoder(source);
    for (const page of pagesOf(decoder)) newest.set(page.pgno, page.data.slice());
    decoder.finish();
    ({ pageSize, commit: pageCount } = decoder.header);
  }
  const ordered = [...newest].filter(([pgno]) => pgno <= pageCount).sort(([a], [b]) => a - b);
  return {
    run: {
      pageSize,
      pageCount,
      *pages() {
        for (const [pgno, data] of ordered) yield { pgno, data };
      },
    },
    expectedChecksum,
    verifyEnd: () => undefined,
  };
}

function* pagesOf(decoder: SegmentDecoder) {
  for (let page = decoder.next(); page !== null; page = decoder.next()) yield page;
}

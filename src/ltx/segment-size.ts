/** How large a segment can be, by what its header says: known before anything else of it is read. */
import { HEADER_SIZE, type SegmentHeader } from "./header.ts";
import { lz4Bound } from "./lz4.ts";
import { PAGE_HEADER_SIZE, PAGE_HEADER_WITH_SIZE } from "./page-frame.ts";
import { INDEX_SIZE_FIELD, MAX_INDEX_ENTRY } from "./page-index.ts";
import { TRAILER_SIZE } from "./trailer.ts";

/** Descriptor, block sizes, end mark and checksums of a page that is an LZ4 frame (files of older programs). */
const LZ4_FRAME_OVERHEAD = 64;
/** The frame that ends the page block, and the entry that ends the index. */
const ENDS = PAGE_HEADER_SIZE + 1;

/** Bytes of the largest file with this header: every page of the database in it, and none of them compressible. */
export function largestSegment({ commit, pageSize }: SegmentHeader): number {
  const perPage = PAGE_HEADER_WITH_SIZE + lz4Bound(pageSize) + LZ4_FRAME_OVERHEAD + MAX_INDEX_ENTRY;
  return HEADER_SIZE + commit * perPage + ENDS + INDEX_SIZE_FIELD + TRAILER_SIZE;
}

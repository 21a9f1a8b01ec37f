/** Reads a whole segment only to find out whether it is intact, and what it says of itself. */
import type { ByteSource } from "./byte-io.ts";
import type { SegmentHeader } from "./header.ts";
import { SegmentDecoder } from "./segment-decoder.ts";
import type { SegmentTrailer } from "./trailer.ts";

/** Page data decoded between two turns of the event loop: some milliseconds of work. */
const SLICE_BYTES = 4 * 1024 * 1024;

export interface SegmentSummary extends SegmentTrailer {
  readonly header: SegmentHeader;
}

/** @throws SegmentError when the segment is not complete and intact. */
export function verifySegment(source: ByteSource): SegmentSummary {
  const decoder = new SegmentDecoder(source);
  while (decoder.next() !== null);
  return { header: decoder.header, ...decoder.finish() };
}

/** As {@link verifySegment}, and lets the event loop turn every few MiB of pages. */
export async function verifySegmentInSlices(source: ByteSource): Promise<SegmentSummary> {
  const decoder = new SegmentDecoder(source);
  let decoded = 0;
  while (decoder.next() !== null) {
    decoded += decoder.header.pageSize;
    if (decoded < SLICE_BYTES) continue;
    decoded = 0;
    await eventLoopTurn();
  }
  return { header: decoder.header, ...decoder.finish() };
}

function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

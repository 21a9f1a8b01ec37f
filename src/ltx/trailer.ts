/**
 * The segment trailer (superfly/ltx README, "Trailer"; rules of Trailer.Validate in ltx.go). Integers are big-endian.
 *
 * | offset | size | field             |
 * | ------ | ---- | ----------------- |
 * | 0      | 8    | postApplyChecksum |
 * | 8      | 8    | fileChecksum      |
 */
import { isTrackedChecksum, type SegmentHeader, tracksChecksums } from "./header.ts";
import { CHECKSUM_FLAG, type Checksum } from "./position.ts";

export const TRAILER_SIZE = 16;

/** The part of the trailer that the file checksum covers. */
export const TRAILER_COVERED = 8;

/** What a whole segment says of itself at its end. */
export interface SegmentTrailer {
  /** Database checksum after the segment; 0 where checksums are not tracked. */
  readonly postApplyChecksum: Checksum;
  readonly fileChecksum: Checksum;
  /** Number of page frames. */
  readonly pages: number;
  /** Length of the segment. */
  readonly bytes: number;
}

/** Writes the covered part of the trailer at `at`. */
export function encodePostApplyChecksum(view: DataView, at: number, postApplyChecksum: Checksum): void {
  view.setBigUint64(at, postApplyChecksum);
}

export function encodeFileChecksum(view: DataView, at: number, fileChecksum: Checksum): void {
  view.setBigUint64(at + TRAILER_COVERED, fileChecksum);
}

export function decodeTrailer(view: DataView, at: number): { postApplyChecksum: Checksum; fileChecksum: Checksum } {
  return {
    postApplyChecksum: view.getBigUint64(at) as Checksum,
    fileChecksum: view.getBigUint64(at + TRAILER_COVERED) as Checksum,
  };
}

/** What is wrong with the database checksum of a trailer that follows `header`, or null. */
export function postApplyFault(header: SegmentHeader, postApplyChecksum: Checksum): string | null {
  if (!tracksChecksums(header)) {
    return postApplyChecksum === 0n ? null : "a database checksum where checksums are not tracked";
  }
  if (!isTrackedChecksum(postApplyChecksum)) return `not a database checksum: ${postApplyChecksum.toString(16)}`;
  // The reference writes a deleted database only with the checksum of no pages.
  if (header.commit === 0 && postApplyChecksum !== CHECKSUM_FLAG) return "a database of no pages has a checksum";
  return null;
}

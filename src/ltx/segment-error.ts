/** The errors of the segment codec: everything that a file can be refused for, and misuse of the encoder or decoder. */
import { AfterimageError } from "../errors.ts";

export type SegmentErrorCode =
  /** The file does not begin with `LTX1`. */
  | "SEGMENT_MAGIC"
  /** A header field is outside its range, or contradicts another one. */
  | "SEGMENT_HEADER"
  /** The file ends before its last section does. */
  | "SEGMENT_TRUNCATED"
  /** A page frame has flags that format version 3 does not define. */
  | "SEGMENT_PAGE_FLAGS"
  /** A page number is 0 or beyond the size of the database. */
  | "SEGMENT_PAGE_NUMBER"
  /** Page numbers do not ascend. */
  | "SEGMENT_PAGE_ORDER"
  /** The lock-byte page is in the file. */
  | "SEGMENT_LOCK_PAGE"
  /** A page's compressed data is not LZ4, or not of one page. */
  | "SEGMENT_COMPRESSION"
  /** The page index does not describe the page frames. */
  | "SEGMENT_INDEX"
  /** The trailer's fields are malformed. */
  | "SEGMENT_TRAILER"
  /** Bytes follow the trailer. */
  | "SEGMENT_TRAILING_BYTES"
  /** The file checksum differs. */
  | "SEGMENT_CHECKSUM"
  /** A snapshot lacks a page of the database. */
  | "SEGMENT_SNAPSHOT_INCOMPLETE"
  /** The database checksum of the pages differs from the one in the trailer. */
  | "SEGMENT_DATABASE_CHECKSUM"
  /** The encoder or decoder was called in the wrong order or with wrong arguments. */
  | "SEGMENT_USAGE";

interface SegmentErrorDetails {
  /** Byte offset in the file of the field or frame that is wrong. */
  readonly offset?: number;
  readonly path?: string | undefined;
  readonly cause?: unknown;
}

const HINT_REFETCH =
  "Nothing of this file was trusted; have its sender ship it again, and run `afterimage verify` there if it fails twice.";
const HINT_FOREIGN = "The file is not an LTX version 3 file that this program can use; check where it came from.";
const HINT_USAGE = "This is a fault of the program, not of the data; report it with the log.";

export class SegmentError extends AfterimageError {
  override readonly name = "SegmentError";
  readonly code: SegmentErrorCode;
  /** Byte offset in the file, where one is known. */
  readonly offset: number | undefined;

  constructor(code: SegmentErrorCode, message: string, details: SegmentErrorDetails = {}) {
    super(details.offset === undefined ? message : `${message} (at byte ${details.offset})`, {
      hint: hintFor(code),
      ...(details.path === undefined ? {} : { path: details.path }),
      ...(details.cause === undefined ? {} : { cause: details.cause }),
    });
    this.code = code;
    this.offset = details.offset;
  }
}

function hintFor(code: SegmentErrorCode): string {
  if (code === "SEGMENT_USAGE") return HINT_USAGE;
  return code === "SEGMENT_MAGIC" || code === "SEGMENT_HEADER" ? HINT_FOREIGN : HINT_REFETCH;
}

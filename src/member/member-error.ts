import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type MemberErrorCode =
  | "DATABASE_UNKNOWN"
  | "NOT_OPERATIONAL"
  | "NOT_A_MIRROR"
  | "UNFENCE_REFUSED"
  | "PAGE_SIZE_CHANGED"
  | "FOLLOWER_UNKNOWN"
  | "SYNC_TIMEOUT"
  | "NO_SNAPSHOT"
  /** The journal has reached `journal.maxBytes`, and nothing in it may go. */
  | "SPOOL_FULL"
  /** Less is free than `journal.minFree`. */
  | "DISK_LOW"
  /** What was read for a snapshot is not what the journal says. */
  | "SNAPSHOT_CHECKSUM"
  /** The WAL grew too far while a snapshot was written. */
  | "SNAPSHOT_WAL"
  | "SEGMENT_GAP"
  | "SEGMENT_EPOCH"
  | "SEGMENT_CHAIN"
  | "SEGMENT_NAME"
  | "SEGMENT_OVERLAP"
  | "SEGMENT_PAGE_SIZE";

/** A member cannot do what was asked, or was sent something that it must not take. */
export class MemberError extends AfterimageError {
  override readonly name = "MemberError";
  readonly code: MemberErrorCode;

  /** Larger than its header allows. */
  | "SEGMENT_SIZE"
  /** Made by nobody who commits to this database of this mirror set. */
  | "SEGMENT_SENDER"
  constructor(code: MemberErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

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

  constructor(code: MemberErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

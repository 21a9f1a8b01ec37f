import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type StateErrorCode =
  /** The state belongs to another member or mirror set, or is no Afterimage state at all. */
  | "STATE_FOREIGN"
  /** Written by a newer Afterimage. */
  | "STATE_TOO_NEW"
  | "STATE_MISSING"
  /** The file cannot be read, or holds what Afterimage never writes. */
  | "STATE_CORRUPT"
  /** An epoch was to be replaced by a lower one. */
  | "STATE_EPOCH_BACK"
  /** A segment was to be catalogued again with other contents. */
  | "STATE_SEGMENT_DIFFERS"
  | "LOCK_HELD"
  /** The lock file cannot be used at all. */
  | "LOCK_FAILED";

/** What is wrong with a member's state database or with a lock. */
export class StateError extends AfterimageError {
  override readonly name = "StateError";
  readonly code: StateErrorCode;

  constructor(code: StateErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.code = code;
  }
}

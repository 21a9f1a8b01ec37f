import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type DrillErrorCode =
  /** Applications could not have written to the promoted copy. */
  | "DRILL_WRITE"
  /** The user's program found fault with the copies, or took too long. */
  | "DRILL_SCRIPT"
  /** The directory of copies cannot be made or emptied. */
  | "DRILL_IO";

/** What a drill has shown, or what kept it from being made. The mirror itself was not touched. */
export class DrillError extends AfterimageError {
  override readonly name = "DrillError";
  override readonly code: DrillErrorCode;

  constructor(code: DrillErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.code = code;
  }
}

import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type DivergenceErrorCode =
  /** A directory that says nothing of what is kept in it. */
  | "KEPT_UNREADABLE"
  /** What is kept there is of another database, or of another mirror set. */
  | "KEPT_FOREIGN"
  /** Two copies could not be compared. */
  | "COMPARISON_FAILED";

/** What diverged cannot be kept, read or compared. */
export class DivergenceError extends AfterimageError {
  override readonly name = "DivergenceError";
  readonly code: DivergenceErrorCode;

  constructor(code: DivergenceErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

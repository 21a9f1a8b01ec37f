import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type CliErrorCode =
  | "USAGE"
  /** Nothing says which member this machine is. */
  | "NODE_REQUIRED"
  /** This machine was prepared as another member. */
  | "NODE_OTHER"
  /** A file that a mirror's copy cannot begin with. */
  | "SEED_UNUSABLE"
  /** What should be looked at before it is done. */
  | "NOT_CONFIRMED"
  | "FILE_EXISTS"
  | "FILE_MISSING"
  | "FILE_UNREADABLE"
  | "FILE_UNWRITABLE";

/** A command cannot do what was asked as it was asked. */
export class CliError extends AfterimageError {
  override readonly name = "CliError";
  readonly code: CliErrorCode;

  constructor(code: CliErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

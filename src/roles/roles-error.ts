import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type RolesErrorCode =
  /** Two members reign, or reigned, in one epoch. */
  | "EPOCH_SPLIT"
  /** The role does not allow what was asked for. */
  | "ROLE_TRANSITION";

/** What is wrong with roles and epochs. */
export class RolesError extends AfterimageError {
  override readonly name = "RolesError";
  readonly code: RolesErrorCode;

  constructor(code: RolesErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.code = code;
  }
}

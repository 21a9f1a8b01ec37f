import { AfterimageError, type ErrorDetails } from "../errors.ts";

/** `EPOCH_SPLIT`: two members reign, or reigned, in one epoch. */
export type RolesErrorCode = "EPOCH_SPLIT";

/** What is wrong with roles and epochs. */
export class RolesError extends AfterimageError {
  override readonly name = "RolesError";
  readonly code: RolesErrorCode;

  constructor(code: RolesErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.code = code;
  }
}

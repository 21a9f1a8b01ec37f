import { AfterimageError, type ErrorDetails } from "../errors.ts";

/** `HOOK_FAILED`: the program cannot be started, ended with another code than 0, or ran for too long. */
export type HookErrorCode = "HOOK_FAILED";

export class HookError extends AfterimageError {
  override readonly name = "HookError";
  readonly code: HookErrorCode = "HOOK_FAILED";

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details);
  }
}

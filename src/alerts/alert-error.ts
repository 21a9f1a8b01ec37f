import { AfterimageError, type ErrorDetails } from "../errors.ts";

/**
 * - `ALERT_REFUSED`: the other side answered, and did not take it;
 * - `ALERT_UNREACHABLE`: nobody answered, or not in time;
 * - `ALERT_SECRET_MISSING`: the secret or password cannot be read.
 */
export type AlertErrorCode = "ALERT_REFUSED" | "ALERT_UNREACHABLE" | "ALERT_SECRET_MISSING";

/** A notice could not be delivered; it is tried again. */
export class AlertError extends AfterimageError {
  override readonly name = "AlertError";
  readonly code: AlertErrorCode;

  constructor(code: AlertErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

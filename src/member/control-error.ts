import { AfterimageError, type ErrorDetails } from "../errors.ts";

/** What goes wrong with the control socket itself. */
export type ControlErrorCode =
  | "CONTROL_PATH_TOO_LONG"
  /** Another daemon answers on this socket. */
  | "CONTROL_IN_USE"
  /** The socket's owner is another user. */
  | "CONTROL_DENIED"
  /** The daemon ended, or was stopped, before it had answered. */
  | "CONTROL_LOST"
  /** The daemon takes the call and does not answer: its process is stopped, or something it waits for does not come. */
  | "CONTROL_SILENT"
  /** The daemon answered what this program does not understand: another version. */
  | "CONTROL_PROTOCOL"
  | "CONTROL_FAILED";

export class ControlError extends AfterimageError {
  override readonly name = "ControlError";
  readonly code: ControlErrorCode;

  constructor(code: ControlErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

/** An error of the daemon's, with the code, message, hint and path that it had there. */
export class DaemonError extends AfterimageError {
  override readonly name = "DaemonError";
  readonly code: string;

  constructor(code: string, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

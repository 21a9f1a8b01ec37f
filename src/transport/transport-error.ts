import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type TransportErrorCode =
  | "TARGET_FULL"
  | "TARGET_READONLY"
  | "TARGET_DENIED"
  /** The place that the mailbox URL names is not there: a file system that is not mounted, a wrong path. */
  | "TARGET_MISSING"
  /** There is another file of that name, with other contents. */
  | "TARGET_DIFFERS"
  /** A symbolic link leads out of the mailbox. */
  | "TARGET_OUTSIDE"
  /** The other side failed in another way. */
  | "TARGET_FAILED"
  | "NAME_INVALID"
  | "FILE_TOO_LARGE"
  /** The local file of a `put` or `get` cannot be used. */
  | "LOCAL_FAILED"
  | "UNREACHABLE"
  | "CLOSED"
  | "URL_INVALID"
  | "TRANSPORT_UNSUPPORTED";

/** Why a file could not be moved to or from a mailbox. */
export class TransportError extends AfterimageError {
  override readonly name = "TransportError";
  readonly code: TransportErrorCode;

  constructor(code: TransportErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.code = code;
  }
}

import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type TransportErrorCode =
  | "TARGET_FULL"
  /** The target has room and refuses to write all the same: a quota, or a limit on the size of files. */
  | "TARGET_QUOTA"
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
  /** No machine of that name. */
  | "HOST_UNKNOWN"
  | "CONNECTION_REFUSED"
  /** The connection was there and is gone: cut, or ended by the other side. */
  | "CONNECTION_LOST"
  /** No answer, with or without a connection. */
  | "TIMED_OUT"
  /** The server's host key is neither pinned nor listed. */
  | "HOST_KEY_UNKNOWN"
  /** The server shows another host key than the one that is pinned or listed. */
  | "HOST_KEY_CHANGED"
  /** The server does not let this key log in. */
  | "LOGIN_REFUSED"
  /** The private key of this member cannot be used: not there, not readable, encrypted. */
  | "IDENTITY_UNUSABLE"
  | "CLOSED"
  | "URL_INVALID";

/** Why a file could not be moved to or from a mailbox. */
export class TransportError extends AfterimageError {
  override readonly name = "TransportError";
  readonly code: TransportErrorCode;

  constructor(code: TransportErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.code = code;
  }
}

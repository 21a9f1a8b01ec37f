import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type EndpointErrorCode =
  /** The address cannot be listened on: taken, not of this machine, not allowed. */
  | "LISTEN_FAILED"
  /** The private host key cannot be read or made, or others may read it. */
  | "LISTEN_HOST_KEY"
  /** The keys that may log in cannot be read. */
  | "AUTHORIZED_KEYS_INVALID";

/** The SFTP server inside the daemon cannot start. */
export class EndpointError extends AfterimageError {
  override readonly name = "EndpointError";
  readonly code: EndpointErrorCode;

  constructor(code: EndpointErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.code = code;
  }
}

import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type HttpErrorCode =
  /** The address cannot be listened on: taken, not of this machine, not allowed. */
  | "HTTP_LISTEN_FAILED"
  /** The certificate or its key cannot be read, or they do not fit each other. */
  | "HTTP_TLS_INVALID";

/** The HTTP server inside the daemon cannot start. */
export class HttpError extends AfterimageError {
  override readonly name = "HttpError";
  readonly code: HttpErrorCode;

  constructor(code: HttpErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.code = code;
  }
}

/**
 * The base of every error that an operator may see. A subclass narrows `code` to a closed union of its own module;
 * callers switch on `code`, never on the message.
 */

interface ErrorDetails {
  /** What to do next, in one sentence that names a command where there is one. */
  readonly hint?: string;
  /** The file or directory that the error is about. */
  readonly path?: string;
  readonly cause?: unknown;
}

export abstract class AfterimageError extends Error {
  /** Stable identifier, such as `SEGMENT_CHECKSUM`: scripts and alert rules rely on it. */
  abstract readonly code: string;
  readonly hint: string | undefined;
  readonly path: string | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.hint = details.hint;
    this.path = details.path;
  }
}

export type { ErrorDetails };

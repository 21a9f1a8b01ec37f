import { errnoOf, messageOf } from "../errno.ts";
import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type JournalErrorCode =
  | "JOURNAL_NAME_INVALID"
  /** The file is catalogued: segments are written once and never changed. */
  | "JOURNAL_SEGMENT_EXISTS"
  /** A received file differs from the catalogued one of the same name. */
  | "JOURNAL_DIFFERS"
  /** What was to be taken into the journal is missing or not a regular file. */
  | "JOURNAL_SOURCE_INVALID"
  | "JOURNAL_FILE_MISSING"
  | "JOURNAL_FULL"
  | "JOURNAL_IO";

/** What is wrong with the journal directory or one of its files. */
export class JournalError extends AfterimageError {
  override readonly name = "JournalError";
  readonly code: JournalErrorCode;

  constructor(code: JournalErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.code = code;
  }
}

/** An error of the file system while `step` was done with `path`; an AfterimageError stays what it is. */
export function journalError(error: unknown, step: string, path: string): AfterimageError {
  if (error instanceof AfterimageError) return error;
  const errno = errnoOf(error);
  if (errno === "ENOSPC" || errno === "EDQUOT") {
    return new JournalError("JOURNAL_FULL", `${step}: no space left for the journal`, {
      path,
      cause: error,
      hint: "Free some space on the file system that holds the member's `state` directory; work goes on by itself.",
    });
  }
  return new JournalError("JOURNAL_IO", `${step}: ${messageOf(error)}`, {
    path,
    cause: error,
    hint: "Check the permissions and the health of the file system that holds the member's `state` directory.",
  });
}

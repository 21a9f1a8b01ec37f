import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type RestoreErrorCode =
  /** There is neither a snapshot nor a backup of the database. */
  | "RESTORE_NOTHING"
  /** What is asked for is older than all that is kept. */
  | "RESTORE_TOO_OLD"
  /** What is asked for is newer than all that is here. */
  | "RESTORE_TOO_NEW"
  /** Transactions between the base and the target are not here. */
  | "RESTORE_GAP"
  /** A file of the journal is not what the catalogue says of it. */
  | "RESTORE_SEGMENT"
  /** The restored pages are not those of the position. */
  | "RESTORE_CHECKSUM"
  /** SQLite finds fault with the restored database. */
  | "RESTORE_INTEGRITY"
  /** There is a file where the database is to be restored to. */
  | "FILE_EXISTS";

/** A database cannot be restored as it was asked. */
export class RestoreError extends AfterimageError {
  override readonly name = "RestoreError";
  readonly code: RestoreErrorCode;

  constructor(code: RestoreErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

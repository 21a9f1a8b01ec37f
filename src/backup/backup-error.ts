import { errnoOf, messageOf } from "../errno.ts";
import { AfterimageError, type ErrorDetails } from "../errors.ts";

export type BackupErrorCode =
  | "DATABASE_UNKNOWN"
  /** An integration has the database, for longer than the backup may wait. */
  | "BACKUP_WHILE_INTEGRATING"
  /** Another backup of the database is being made. */
  | "BACKUP_RUNNING"
  /** Integration was asked for while a backup has the database. */
  | "INTEGRATION_WHILE_BACKUP"
  /** Backups are made on mirrors. */
  | "BACKUP_REFUSED"
  /** The mirror has no snapshot yet. */
  | "BACKUP_EMPTY"
  /** What was read is not what the member's state says of its database. */
  | "BACKUP_CHECKSUM"
  /** SQLite finds fault with the copy. */
  | "BACKUP_INTEGRITY"
  /** A backup is not what its sidecar says. */
  | "BACKUP_DAMAGED"
  /** There is no such backup. */
  | "BACKUP_MISSING"
  | "BACKUP_NO_SPACE"
  | "BACKUP_IO";

/** A backup cannot be made, or one that was made cannot be used. */
export class BackupError extends AfterimageError {
  override readonly name = "BackupError";
  readonly code: BackupErrorCode;

  constructor(code: BackupErrorCode, message: string, details?: ErrorDetails) {
    super(message, details);
    this.code = code;
  }
}

/** An error of the file system while `step` was done with `path`; an AfterimageError stays what it is. */
export function backupFileError(error: unknown, step: string, path: string): AfterimageError {
  if (error instanceof AfterimageError) return error;
  const errno = errnoOf(error);
  if (errno === "ENOSPC" || errno === "EDQUOT") {
    return new BackupError("BACKUP_NO_SPACE", `${step}: no space left`, {
      path,
      cause: error,
      hint: "Free some space there, or keep fewer backups; nothing that was there has been touched.",
    });
  }
  return new BackupError("BACKUP_IO", `${step}: ${messageOf(error)}`, {
    path,
    cause: error,
    hint: "Check the permissions and the health of the file system.",
  });
}

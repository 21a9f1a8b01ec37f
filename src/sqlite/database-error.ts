/** Faults of a database file, its WAL or its wal-index, on the operational and on the mirror side. */
import { AfterimageError, type ErrorDetails } from "../errors.ts";

/** What is wrong with a database whatever its role. */
type FileErrorCode =
  | "DATABASE_MISSING"
  | "DATABASE_EMPTY"
  | "DATABASE_NOT_SQLITE"
  | "DATABASE_NOT_WAL"
  | "DATABASE_PAGE_SIZE"
  | "DATABASE_REPLACED"
  | "DATABASE_BUSY"
  | "DATABASE_UNREADABLE"
  | "WAL_BIG_ENDIAN"
  | "WAL_INDEX_INVALID";

/** What only the capturing side meets. */
type CaptureErrorCode = "WAL_GAP";

/** What only the integrating side meets. */
type MirrorErrorCode =
  | "PLATFORM_UNSUPPORTED"
  | "DATABASE_EXISTS"
  | "CHANGE_INVALID"
  | "INTEGRATION_CHECKSUM"
  | "MIRROR_INCONSISTENT";

export type DatabaseErrorCode = FileErrorCode | CaptureErrorCode | MirrorErrorCode;

export class DatabaseError extends AfterimageError {
  override readonly name = "DatabaseError";
  override readonly code: DatabaseErrorCode;

  constructor(code: DatabaseErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.code = code;
  }
}

/**
 * Byte 18 of page 1, the write version (SQLite file format, section 1.3.3): with 2 SQLite writes to a database in WAL mode,
 * above 2 it takes the database for read-only.
 */
export const WRITE_VERSION_OFFSET = 18;

export type WriteVersion = 2 | 3;

export const WRITABLE: WriteVersion = 2;
/** The fence. */
export const FENCED: WriteVersion = 3;

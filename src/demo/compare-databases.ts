/**
 * Compares two databases page by page. Only for databases that no process has open: it opens each, moves its WAL into
 * the file, closes it, and then reads the files as bytes.
 *
 * Byte 18 of page 1 (the write version, which Afterimage's fence sets to 3) does not count; every other byte does.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import Database from "better-sqlite3";

const PAGE_SIZE_OFFSET = 16;
const WRITE_VERSION_OFFSET = 18;
const BLOCK_BYTES = 1 << 20;
/** Long enough for a process that is just ending. */
const BUSY_TIMEOUT_MS = 500;

export interface DatabaseComparison {
  readonly identical: boolean;
  /** Numbers of the first pages that differ, at most ten. */
  readonly differingPages: readonly number[];
  /** Size in pages of the two databases. */
  readonly pages: readonly [number, number];
}

/** Moves all of the WAL into the database file. @throws Error when something else still has the database open. */
export function settleDatabase(path: string): void {
  const db = new Database(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    const busy = db.pragma("wal_checkpoint(TRUNCATE)", { simple: true });
    if (busy !== 0) throw new Error(`${path} is still in use`);
  } finally {
    db.close();
  }
}

/** What `PRAGMA integrity_check` says: "ok", or the first fault. */
export function integrityCheck(path: string): string {
  const db = new Database(path, { readonly: true });
  try {
    return String(db.pragma("integrity_check(1)", { simple: true }));
  } finally {
    db.close();
  }
}

/** Compares two settled databases. */
export function compareDatabases(expectedPath: string, actualPath: string): DatabaseComparison {
  const expected = openSync(expectedPath, "r");
  const actual = openSync(actualPath, "r");
  try {
    const pageSize = pageSizeOf(expected);
    const sizes = [statSync(expectedPath).size, statSync(actualPath).size] as const;
    const differingPages = findDifferences(expected, actual, pageSize, Math.min(...sizes));
    return {
      identical: sizes[0] === sizes[1] && differingPages.length === 0,
      differingPages,
      pages: [sizes[0] / pageSize, sizes[1] / pageSize],
    };
  } finally {
    closeSync(expected);
    closeSync(actual);
  }
}

function pageSizeOf(file: number): number {
  const header = Buffer.alloc(100);
  readSync(file, header, 0, header.length, 0);
  const stored = header.readUInt16BE(PAGE_SIZE_OFFSET);
  return stored === 1 ? 65536 : stored;
}

function findDifferences(expected: number, actual: number, pageSize: number, bytes: number): number[] {
  const found: number[] = [];
  const a = Buffer.alloc(BLOCK_BYTES);
  const b = Buffer.alloc(BLOCK_BYTES);
  for (let position = 0; position < bytes && found.length < 10; position += BLOCK_BYTES) {
    const length = Math.min(BLOCK_BYTES, bytes - position);
    readSync(expected, a, 0, length, position);
    readSync(actual, b, 0, length, position);
    if (position === 0) b[WRITE_VERSION_OFFSET] = a[WRITE_VERSION_OFFSET] ?? 0;
    if (a.compare(b, 0, length, 0, length) === 0) continue;
    for (let at = 0; at < length && found.length < 10; at += pageSize) {
      if (a.compare(b, at, at + pageSize, at, at + pageSize) !== 0) found.push((position + at) / pageSize + 1);
    }
  }
  return found;
}

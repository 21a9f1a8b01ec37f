import { readSync, statSync } from "node:fs";
import { SharedDescriptor } from "./shared-descriptor.ts";

/** Of the first bytes of a database file, see "The Database Header" of SQLite's file format. */
const MAGIC = "SQLite format 3\0";
const PAGE_SIZE_OFFSET = 16;
const PAGE_COUNT_OFFSET = 28;
const NEEDED_BYTES = 32;

/**
 * Whether there is a file that SQLite would take for a database, with as many pages as its header says: a file that is being
 * copied to its place is shorter. Nothing is asked of SQLite. Throws what the file system throws; a missing file is just false.
 */
export function isWholeDatabase(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  // Opening a pipe would wait for its other end.
  if (found === undefined || !found.isFile() || found.size < NEEDED_BYTES) return false;
  const file = SharedDescriptor.open(path, "r");
  try {
    const header = Buffer.alloc(NEEDED_BYTES);
    const count = readSync(file.fd, header, 0, NEEDED_BYTES, 0);
    if (count < NEEDED_BYTES || header.toString("latin1", 0, MAGIC.length) !== MAGIC) return false;
    const pageSize = header.readUInt16BE(PAGE_SIZE_OFFSET);
    return found.size >= header.readUInt32BE(PAGE_COUNT_OFFSET) * (pageSize === 1 ? 65_536 : pageSize);
  } finally {
    file.release();
  }
}

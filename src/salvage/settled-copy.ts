/**
 * A copy of the lost database as SQLite shows it: SQLite itself recovers the copied WAL and moves it into the copied file,
 * whose pages are then read as they are.
 */
import { FileSource } from "../journal/file-source.ts";
import { lockBytePage } from "../ltx/page-checksum.ts";
import { makeCanonical } from "../sqlite/captured-change.ts";
import type { DatabaseImage } from "../sqlite/page-difference.ts";
import type { Page } from "../sqlite/page-run.ts";
import { connect } from "../sqlite/pin.ts";
import { sqliteFault } from "../sqlite/sqlite-fault.ts";
import { SalvageError } from "./salvage-error.ts";

const READ_BYTES = 1 << 20;
/** Two bytes, 1 for 65536 (SQLite file format, section 1.3.2). */
const PAGE_SIZE_OFFSET = 16;

/**
 * Lets SQLite recover a database that nobody else has open, and empties its WAL.
 * @throws DatabaseError DATABASE_NOT_SQLITE, DATABASE_UNREADABLE
 */
export function settle(path: string): void {
  const connection = connect(path, 0);
  try {
    connection.pragma("wal_checkpoint(TRUNCATE)");
  } catch (error) {
    throw sqliteFault(path, "recover the copy of the database", error);
  } finally {
    connection.close();
  }
}

/** The pages of a database file that nobody has open and that has no WAL; with one, as the file alone has them. */
export class FilePages implements DatabaseImage, Disposable {
  readonly pageSize: number;
  readonly pageCount: number;
  readonly #source: FileSource;

  /** @throws SalvageError SALVAGE_PAGE_SIZE when the file has not whole pages of this size. */
  constructor(path: string, pageSize: number) {
    this.pageSize = pageSize;
    this.#source = new FileSource(path);
    this.pageCount = this.#source.size / pageSize;
    const found = readPageSize(this.#source);
    if (found === pageSize && Number.isInteger(this.pageCount)) return;
    this.#source.close();
    throw new SalvageError(
      "SALVAGE_PAGE_SIZE",
      `the database has pages of ${found} bytes, the journal of ${pageSize}`,
      {
        path,
        hint: "The database was made anew with another page size: its mirrors must be built anew from it.",
      },
    );
  }

  pages(): Generator<Page> {
    return this.pagesFrom(1);
  }

  *pagesFrom(from: number): Generator<Page> {
    const perRead = Math.max(1, Math.floor(READ_BYTES / this.pageSize));
    const buffer = Buffer.allocUnsafeSlow(perRead * this.pageSize);
    const lockPage = lockBytePage(this.pageSize);
    for (let first = from; first <= this.pageCount; first += perRead) {
      this.#source.read(buffer, (first - 1) * this.pageSize);
      for (let pgno = first; pgno < first + perRead && pgno <= this.pageCount; pgno++) {
        if (pgno === lockPage) continue;
        const offset = (pgno - first) * this.pageSize;
        const data = buffer.subarray(offset, offset + this.pageSize);
        makeCanonical(pgno, data);
        yield { pgno, data };
      }
    }
  }

  readPage(pgno: number, target: Uint8Array): void {
    this.#source.read(target, (pgno - 1) * this.pageSize);
    makeCanonical(pgno, target);
  }

  [Symbol.dispose](): void {
    this.#source.close();
  }
}

function readPageSize(source: FileSource): number {
  const bytes = new Uint8Array(2);
  source.read(bytes, PAGE_SIZE_OFFSET);
  const stored = new DataView(bytes.buffer).getUint16(0);
  return stored === 1 ? 65536 : stored;
}

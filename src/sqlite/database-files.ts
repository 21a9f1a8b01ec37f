/**
 * The database file and its `-shm`, as raw bytes, beside SQLite's own connections.
 *
 * Open before the first connection of this object's owner and close after the last: see shared-descriptor.ts for what
 * closing one early would do. Other connections of this process to the same database should hold one of these as well.
 */
import { fstatSync, readSync, realpathSync } from "node:fs";
import { errnoOf } from "../errno.ts";
import { DatabaseError } from "./database-error.ts";
import { SharedDescriptor } from "./shared-descriptor.ts";
import { decodeWalIndex, WAL_INDEX_HEADER_SIZE, type WalIndexState } from "./wal-index.ts";

const DATABASE_HEADER_SIZE = 100;
const MAGIC = "SQLite format 3\0";

/** A torn read means that a writer is between two stores; it is done within microseconds unless it has died. */
const TORN_READS = 200;

/** From the first page in the file, which in WAL mode may be older than the database (SQLite file format, section 1.3). */
export interface DatabaseHeader {
  readonly pageSize: number;
  /** Byte 18: 2 in WAL mode, 3 when fenced. */
  readonly writeVersion: number;
  /** Byte 19: 2 in WAL mode, 1 with a rollback journal. */
  readonly readVersion: number;
}

export class DatabaseFiles {
  /** The path with symbolic links resolved, as SQLite does before it appends `-wal` and `-shm`. */
  readonly path: string;
  readonly #database: SharedDescriptor;
  readonly #indexBytes = new Uint8Array(WAL_INDEX_HEADER_SIZE);
  #walIndex: SharedDescriptor | null = null;

  private constructor(path: string, database: SharedDescriptor) {
    this.path = path;
    this.#database = database;
  }

  /** @throws DatabaseError DATABASE_MISSING, DATABASE_UNREADABLE */
  static open(path: string): DatabaseFiles {
    try {
      const real = realpathSync(path);
      return new DatabaseFiles(real, SharedDescriptor.open(real, "r"));
    } catch (cause) {
      throw openFault(path, cause);
    }
  }

  get walPath(): string {
    return `${this.path}-wal`;
  }

  get walIndexPath(): string {
    return `${this.path}-shm`;
  }

  /** Descriptor of `-shm`, for reading, writing and locks. Do not close it. */
  get walIndexDescriptor(): number {
    return this.#openWalIndex().fd;
  }

  /** Opens `-shm`, which a connection must have made by now. @throws DatabaseError DATABASE_UNREADABLE */
  attachWalIndex(): void {
    try {
      this.#walIndex ??= SharedDescriptor.open(this.walIndexPath, "r+");
    } catch (cause) {
      throw openFault(this.walIndexPath, cause);
    }
  }

  /** @throws DatabaseError DATABASE_EMPTY, DATABASE_NOT_SQLITE, DATABASE_PAGE_SIZE */
  readHeader(): DatabaseHeader {
    const bytes = new Uint8Array(DATABASE_HEADER_SIZE);
    const size = this.read(bytes, 0);
    if (size === 0) {
      throw new DatabaseError("DATABASE_EMPTY", "the database file is empty", {
        path: this.path,
        hint: "Let the application create its tables first, with PRAGMA journal_mode=WAL.",
      });
    }
    if (size < DATABASE_HEADER_SIZE || Buffer.from(bytes.buffer, 0, MAGIC.length).toString("latin1") !== MAGIC) {
      throw new DatabaseError("DATABASE_NOT_SQLITE", "the file is not an SQLite database, or it is encrypted", {
        path: this.path,
        hint: "Check the path in the configuration.",
      });
    }
    const view = new DataView(bytes.buffer);
    const pageSize = view.getUint16(16) === 1 ? 65536 : view.getUint16(16);
    if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0) {
      throw new DatabaseError("DATABASE_PAGE_SIZE", `the database header names a page size of ${pageSize}`, {
        path: this.path,
        hint: "The first page is damaged: restore the database.",
      });
    }
    return { pageSize, writeVersion: view.getUint8(18), readVersion: view.getUint8(19) };
  }

  /** Reads bytes of the database file; returns how many there were before its end. */
  read(target: Uint8Array, position: number): number {
    return readFully(this.#database.fd, target, position);
  }

  /** Reads bytes of `-shm`; returns how many there were before its end. */
  readWalIndexBytes(target: Uint8Array, position: number): number {
    return readFully(this.#openWalIndex().fd, target, position);
  }

  /** The wal-index header; null when it stays torn or invalid: let SQLite recover it by reading through a connection. */
  readWalIndex(): WalIndexState | null {
    for (let attempt = 0; attempt < TORN_READS; attempt++) {
      const state = this.peekWalIndex();
      if (state !== null) return state;
    }
    return null;
  }

  /** As {@link readWalIndex} with a single read: null may just mean that a writer is at work. */
  peekWalIndex(): WalIndexState | null {
    const size = this.readWalIndexBytes(this.#indexBytes, 0);
    return size < WAL_INDEX_HEADER_SIZE ? null : decodeWalIndex(this.#indexBytes);
  }

  /**
   * Size of the database in pages, as SQLite's pager counts it: the wal-index says, or the file's size when the
   * wal-index was built from an empty WAL.
   */
  readPageCount(state: WalIndexState, pageSize: number): number {
    return state.pageCount > 0 ? state.pageCount : Math.ceil(fstatSync(this.#database.fd).size / pageSize);
  }

  /** @throws DatabaseError DATABASE_MISSING, DATABASE_REPLACED: another file, or none, is at the path of an open one */
  checkIdentity(): void {
    if (!this.#database.isAt(this.path)) {
      const gone = isGone(this.path);
      throw new DatabaseError(
        gone ? "DATABASE_MISSING" : "DATABASE_REPLACED",
        gone ? "the database file was removed while it was open" : "another file took the place of the open database",
        { path: this.path, hint: "Put the database back, or let Afterimage open the new one and resynchronise." },
      );
    }
    if (this.#walIndex !== null && !this.#walIndex.isAt(this.walIndexPath)) {
      throw new DatabaseError("DATABASE_REPLACED", "the -shm file was removed or replaced while it was in use", {
        path: this.walIndexPath,
        hint: "Stop the application, check the database with PRAGMA integrity_check, then start both again.",
      });
    }
  }

  /** Lets go of the descriptors. Close the owner's connections first. */
  close(): void {
    this.#walIndex?.release();
    this.#database.release();
  }

  #openWalIndex(): SharedDescriptor {
    this.attachWalIndex();
    if (this.#walIndex === null)
      throw new DatabaseError("WAL_INDEX_INVALID", "no wal-index", { path: this.walIndexPath });
    return this.#walIndex;
  }
}

/** Reads until `target` is full or the file ends; returns the bytes read. */
export function readFully(fd: number, target: Uint8Array, position: number): number {
  let filled = 0;
  while (filled < target.length) {
    const size = readSync(fd, target, filled, target.length - filled, position + filled);
    if (size === 0) break;
    filled += size;
  }
  return filled;
}

function isGone(path: string): boolean {
  try {
    realpathSync(path);
    return false;
  } catch {
    return true;
  }
}

function openFault(path: string, cause: unknown): DatabaseError {
  return errnoOf(cause) === "ENOENT"
    ? new DatabaseError("DATABASE_MISSING", "there is no such database file", {
        path,
        cause,
        hint: "Check the path in the configuration, and whether its file system is mounted.",
      })
    : new DatabaseError("DATABASE_UNREADABLE", "the database file cannot be opened", {
        path,
        cause,
        hint: "The daemon's user needs read and write permission on the database, its -wal and -shm, and their directory.",
      });
}

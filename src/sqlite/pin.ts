/**
 * A read transaction of our own whose place in the WAL is known exactly.
 *
 * While a pin is held, everything that is committed after it stays readable in the WAL. SQLite gives its reader one of
 * two kinds of place (wal.c, walTryBeginRead): a read mark of 1 or above keeps the WAL from being restarted; read mark 0
 * is used when a checkpoint had copied all of the WAL, and allows one restart, but then keeps the next generation from
 * being copied and so from being restarted in its turn. It reads page 1 only and never the application's schema, which
 * may need functions or virtual tables that we do not have.
 */
import Sqlite from "better-sqlite3";
import { DatabaseError } from "./database-error.ts";
import type { DatabaseFiles } from "./database-files.ts";
import { sqliteFault } from "./sqlite-fault.ts";
import type { WalIndexState } from "./wal-index.ts";

/** How long to wait for another process that is recovering the WAL. */
const BUSY_TIMEOUT_MS = 1000;

/** Each attempt takes some 20 microseconds, so a commit between the two looks at the header is rare. */
const BEGIN_ATTEMPTS = 2000;

/** A connection that never checkpoints by itself. @throws DatabaseError DATABASE_MISSING, DATABASE_UNREADABLE, DATABASE_NOT_SQLITE */
export function connect(path: string, busyTimeoutMs: number): Sqlite.Database {
  try {
    const connection = new Sqlite(path, { fileMustExist: true, timeout: busyTimeoutMs });
    connection.pragma("wal_autocheckpoint = 0");
    return connection;
  } catch (cause) {
    throw sqliteFault(path, "open the database", cause);
  }
}

export class Pin {
  readonly #files: DatabaseFiles;
  readonly #connection: Sqlite.Database;
  readonly #begin: Sqlite.Statement;
  readonly #end: Sqlite.Statement;
  readonly #readPage1: Sqlite.Statement;

  constructor(files: DatabaseFiles) {
    this.#files = files;
    this.#connection = connect(files.path, BUSY_TIMEOUT_MS);
    this.#begin = this.#connection.prepare("BEGIN");
    this.#end = this.#connection.prepare("ROLLBACK");
    this.#readPage1 = this.#connection.prepare("PRAGMA schema_version");
  }

  /** Reads once through SQLite, which makes it create `-wal` and `-shm`, or recover them after a crash. */
  touch(): void {
    this.#start();
    this.end();
  }

  /**
   * Begins the read transaction and returns the wal-index header that it sees: the same one before and after it began.
   * `backfilled` is the most that was seen. @throws DatabaseError DATABASE_BUSY, WAL_INDEX_INVALID
   */
  begin(): WalIndexState {
    for (let attempt = 0; attempt < BEGIN_ATTEMPTS; attempt++) {
      const before = this.#files.readWalIndex();
      this.#start();
      const after = before === null ? null : this.#files.readWalIndex();
      if (before !== null && after !== null && sameHeader(before, after)) {
        return { ...after, backfilled: Math.max(before.backfilled, after.backfilled) };
      }
      this.end();
    }
    throw this.#files.readWalIndex() === null
      ? new DatabaseError("WAL_INDEX_INVALID", "the -shm file has no valid header", {
          path: this.#files.walIndexPath,
          hint: "Stop every process that uses the database, then start them again: SQLite rebuilds the file.",
        })
      : new DatabaseError("DATABASE_BUSY", "commits follow each other too quickly to begin between two", {
          path: this.#files.path,
          hint: "It is tried again.",
        });
  }

  /** Ends the transaction, if one is open. */
  end(): void {
    if (this.#connection.inTransaction) this.#end.run();
  }

  close(): void {
    this.#connection.close();
  }

  #start(): void {
    try {
      this.#begin.run();
      this.#readPage1.get();
    } catch (cause) {
      this.end();
      throw sqliteFault(this.#files.path, "begin a read transaction", cause);
    }
  }
}

function sameHeader(a: WalIndexState, b: WalIndexState): boolean {
  return (
    a.change === b.change &&
    a.maxFrame === b.maxFrame &&
    a.pageCount === b.pageCount &&
    a.checksum1 === b.checksum1 &&
    a.checksum2 === b.checksum2 &&
    a.salt1 === b.salt1 &&
    a.salt2 === b.salt2
  );
}

/**
 * A lock between processes that the kernel frees when its holder dies: `BEGIN EXCLUSIVE` on a small SQLite database in
 * rollback-journal mode, to which nothing is ever written.
 *
 * Who holds it is written beside it, as `<path>.holder`, for messages only: the lock decides, the note may be stale. The lock
 * file is never opened in another way, because closing any descriptor of it would free the lock (sqlite.org/howtocorrupt,
 * section 2.2), and never removed, because two processes could then lock two files of one name.
 */
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import SqliteDatabase, { type Database } from "better-sqlite3";
import { z } from "zod";
import { makeDirectory, removeFile, writeFileAtomically } from "../durable-files.ts";
import { errnoOf, messageOf } from "../errno.ts";
import { StateError } from "./state-error.ts";

const holderSchema = z.object({
  pid: z.int().min(1),
  /** What holds it, such as `afterimage run`. */
  command: z.string(),
  /** ISO 8601. */
  since: z.iso.datetime(),
});

export type LockHolder = z.infer<typeof holderSchema>;

export class ProcessLock implements Disposable {
  readonly path: string;
  #database: Database | null;

  private constructor(path: string, database: Database) {
    this.path = path;
    this.#database = database;
  }

  /**
   * Takes the lock at once or throws. `holder` says for what, such as `afterimage run`.
   * @throws StateError LOCK_HELD, which names the holder; LOCK_FAILED when the lock file cannot be used.
   */
  static acquire(path: string, holder: string): ProcessLock {
    const database = lockedDatabase(path);
    const note: LockHolder = { pid: process.pid, command: holder, since: new Date().toISOString() };
    try {
      writeFileAtomically(notePath(path), JSON.stringify(note));
    } catch {
      // The lock is held all the same; a full disk must not keep the daemon from starting to free some space.
    }
    return new ProcessLock(path, database);
  }

  /** Frees the lock. A second call does nothing. */
  release(): void {
    if (this.#database === null) return;
    try {
      // While the lock is held: afterwards the note would be the next holder's.
      removeFile(notePath(this.path));
    } finally {
      this.#database.close();
      this.#database = null;
    }
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** What the note beside a lock says; null when there is none. Whether the lock is held can only be told by taking it. */
export function readLockHolder(path: string): LockHolder | null {
  try {
    const parsed = holderSchema.safeParse(JSON.parse(readFileSync(notePath(path), "utf8")));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

function lockedDatabase(path: string): Database {
  let database: Database | null = null;
  try {
    makeDirectory(dirname(path));
    database = new SqliteDatabase(path, { timeout: 0 });
    database.exec("BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database?.close();
    throw errnoOf(error) === "SQLITE_BUSY" ? held(path) : failed(path, error);
  }
}

function held(path: string): StateError {
  const holder = readLockHolder(path);
  const who = holder === null ? "another process" : `${holder.command} (process ${holder.pid}, since ${holder.since})`;
  return new StateError("LOCK_HELD", `locked by ${who}`, {
    path,
    hint: "Wait until it has ended, or end that process; the lock goes with it.",
  });
}

function failed(path: string, error: unknown): StateError {
  return new StateError("LOCK_FAILED", `cannot use the lock file: ${messageOf(error)}`, {
    path,
    cause: error,
    hint: "Check the permissions and the file system of the member's `state` directory: it must be a local one.",
  });
}

function notePath(path: string): string {
  return `${path}.holder`;
}

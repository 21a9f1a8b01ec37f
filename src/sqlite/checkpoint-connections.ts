/**
 * The connections that a checkpoint needs: one that takes the write lock, one that copies. They are opened when they are
 * used first, because a daemon may hold hundreds of databases that nobody writes to.
 */
import type Sqlite from "better-sqlite3";
import { connect } from "./pin.ts";
import { isBusy, isReadOnly, sqliteFault } from "./sqlite-fault.ts";

/**
 * How long the write lock is asked for at a stretch. Against a writer that commits without a pause it is got by asking
 * often: SQLite's own waiting, with sleeps in between, gets it once in a while only.
 */
const WRITE_LOCK_SPIN_MS = 2;

/** A row of PRAGMA wal_checkpoint. */
interface CheckpointRow {
  readonly busy: number;
  /** Frames in the WAL. */
  readonly log: number;
  /** Frames of them that are in the database file. */
  readonly checkpointed: number;
}

/** What a checkpoint has copied; `busy`: somebody else is at it. */
export interface FrameCopy {
  readonly busy: boolean;
  readonly frames: number;
  readonly copied: number;
}

export class CheckpointConnections {
  readonly #path: string;
  #control: Sqlite.Database | null = null;
  #copier: Sqlite.Database | null = null;
  #checkpoint: Sqlite.Statement<[], CheckpointRow> | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** Asks for the write lock for a moment: "busy" when somebody else has it, "fenced" when the database is read-only. */
  takeWriteLock(): "held" | "busy" | "fenced" {
    this.#control ??= connect(this.#path, 0);
    const untilMs = performance.now() + WRITE_LOCK_SPIN_MS;
    for (;;) {
      try {
        this.#control.exec("BEGIN IMMEDIATE");
        return "held";
      } catch (error) {
        if (isBusy(error) && performance.now() < untilMs) continue;
        if (isBusy(error)) return "busy";
        if (!isReadOnly(error)) throw sqliteFault(this.#path, "take the write lock", error);
        break;
      }
    }
    // A connection that has seen the fence takes BEGIN IMMEDIATE for a read transaction from then on.
    this.#control.close();
    this.#control = null;
    return "fenced";
  }

  freeWriteLock(): void {
    this.#control?.exec("ROLLBACK");
  }

  /** A passive checkpoint: copies what no reader needs as it was. */
  copyFrames(): FrameCopy {
    try {
      // Preparing it makes SQLite read the application's schema; kept, it does so once and not under the write lock.
      this.#checkpoint ??= this.#opened().prepare("PRAGMA wal_checkpoint(PASSIVE)");
      const row = this.#checkpoint.get();
      return { busy: row?.busy !== 0, frames: row?.log ?? 0, copied: row?.checkpointed ?? 0 };
    } catch (error) {
      if (isBusy(error)) return { busy: true, frames: 0, copied: 0 };
      throw sqliteFault(this.#path, "checkpoint", error);
    }
  }

  /** Reads once through SQLite, so that it recovers a wal-index that a dead writer left half written. */
  recover(): void {
    this.#opened().pragma("schema_version");
  }

  /** They are opened again when they are needed. */
  close(): void {
    this.#control?.close();
    this.#copier?.close();
    this.#control = null;
    this.#copier = null;
    this.#checkpoint = null;
  }

  #opened(): Sqlite.Database {
    this.#copier ??= connect(this.#path, 0);
    return this.#copier;
  }
}

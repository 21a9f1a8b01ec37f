/**
 * The lock of one database between integration and backups, in whatever processes they run.
 *
 * Guarantee: a batch is never integrated while a backup reads the database, and only one backup of a database is made at a
 * time; the kernel frees what a process held when it dies. Nobody starves and nobody waits for one who waits for him: a
 * backup announces itself first, then waits for the batch at work; integration begins no batch after an announcement, and
 * waits for nothing while it has the database. The file is never removed, because two processes could then lock two files.
 *
 * File: three lock bytes, which hold no data of their own (use 0, turn 1, backup 2), and at byte 256 and 512 a note each of
 * who integrates and who makes a backup, as JSON filled up with spaces. Only the note of who holds a lock has a meaning.
 */
import { closeSync, constants, fchownSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { makeDirectory } from "../durable-files.ts";
import { type ByteRange, tryLockBytes, unlockBytes } from "../sqlite/ofd-lock.ts";
import { BackupError, backupFileError } from "./backup-error.ts";

/** Held by a batch, and by a backup while it reads the database. */
const USE: ByteRange = { start: 0, length: 1 };
/** Held by a backup from when it wants the database until it has read it. */
const TURN: ByteRange = { start: 1, length: 1 };
const USE_AND_TURN: ByteRange = { start: 0, length: 2 };
/** Held by a backup from its beginning to its end. */
const BACKUP: ByteRange = { start: 2, length: 1 };

const NOTE_BYTES = 256;
const NOTES = { integration: NOTE_BYTES, backup: 2 * NOTE_BYTES } as const;
type Kind = keyof typeof NOTES;

const POLL_MS = 2;
/**
 * How long a backup that may not wait stays: the batch at work ends meanwhile. A batch takes some milliseconds in continuous
 * replication, and some tenths of a second when it is as large as batches get; only one huge transaction takes longer.
 */
const GRACE_MS = 2_000;

const holderSchema = z.object({
  kind: z.enum(["integration", "backup"]),
  pid: z.int().min(1),
  /** ISO 8601: since when it holds the lock; for integration, since when its process has taken batches. */
  since: z.iso.datetime(),
});

export type LockHolder = z.infer<typeof holderSchema>;

export interface BackupLockOptions {
  /** How long to wait for an integration or another backup; null: as long as it takes; absent: do not wait. */
  readonly waitMs?: number | null | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class DatabaseLock implements Disposable {
  readonly path: string;
  readonly #fd: number;
  #noted: Kind | null = null;
  #closed = false;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** Opens the lock file of a database below a member's state directory, and locks nothing. @throws BackupError BACKUP_IO */
  static open(stateDirectory: string, database: string): DatabaseLock {
    const path = join(stateDirectory, "locks", `${database}.lock`);
    try {
      makeDirectory(dirname(path));
      const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o644);
      shareWithOwner(fd, dirname(path));
      return new DatabaseLock(path, fd);
    } catch (error) {
      throw backupFileError(error, "open the lock file", path);
    }
  }

  /** Takes the database for one batch; false when a backup has it or waits for it. Costs some microseconds. */
  tryIntegrate(): boolean {
    if (!tryLockBytes(this.#fd, USE_AND_TURN)) return false;
    // A backup can announce itself from now on, and waits for this batch only.
    unlockBytes(this.#fd, TURN);
    this.#note("integration");
    return true;
  }

  /** Gives the database free, after a batch or after a backup has read it. */
  freeDatabase(): void {
    unlockBytes(this.#fd, USE_AND_TURN);
  }

  /**
   * Takes the database for a backup, which holds off integration until {@link freeDatabase}, and other backups until `close`.
   * @throws BackupError BACKUP_RUNNING, BACKUP_WHILE_INTEGRATING, which name the holder; the signal's reason. Nothing is held then.
   */
  async beginBackup({ waitMs, signal }: BackupLockOptions = {}): Promise<void> {
    const begun = performance.now();
    const patienceMs = waitMs === null ? Number.POSITIVE_INFINITY : (waitMs ?? 0);
    try {
      await this.#lock(BACKUP, { deadline: begun + patienceMs, signal, refused: () => running(this.holder("backup")) });
      this.#note("backup");
      const deadline = begun + Math.max(patienceMs, GRACE_MS);
      const refused = () => integrating(this.holder("integration"));
      await this.#lock(TURN, { deadline, signal, refused });
      await this.#lock(USE, { deadline, signal, refused });
    } catch (error) {
      unlockBytes(this.#fd, { start: 0, length: 3 });
      throw error;
    }
  }

  /** What the note says of who last integrated, or last made a backup; null when it cannot be read. */
  holder(kind: Kind): LockHolder | null {
    const bytes = Buffer.alloc(NOTE_BYTES);
    try {
      const length = readSync(this.#fd, bytes, 0, NOTE_BYTES, NOTES[kind]);
      return holderSchema.safeParse(JSON.parse(bytes.toString("utf8", 0, length))).data ?? null;
    } catch {
      return null;
    }
  }

  /** Frees everything; twice is harmless. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #lock(
    range: ByteRange,
    wait: { deadline: number; signal: AbortSignal | undefined; refused: () => BackupError },
  ): Promise<void> {
    while (!tryLockBytes(this.#fd, range)) {
      if (performance.now() >= wait.deadline) throw wait.refused();
      await sleep(POLL_MS);
      wait.signal?.throwIfAborted();
    }
  }

  /** Once for all batches of a process: a note for each would cost more than the lock. */
  #note(kind: Kind): void {
    if (this.#noted === kind) return;
    this.#noted = kind;
    const holder: LockHolder = { kind, pid: process.pid, since: new Date().toISOString() };
    try {
      writeSync(this.#fd, Buffer.from(JSON.stringify(holder).padEnd(NOTE_BYTES)), 0, NOTE_BYTES, NOTES[kind]);
    } catch {
      // The lock is held all the same; a full disk must not stop integration.
    }
  }
}

/** Such as `backup (process 123, since 2026-01-31T12:00:00.000Z)`. */
export function describeHolder(holder: LockHolder | null, kind: Kind): string {
  return holder === null ? `${kind} (process unknown)` : `${kind} (process ${holder.pid}, since ${holder.since})`;
}

/** A lock file that root makes must not keep the daemon of the state directory's owner out. */
function shareWithOwner(fd: number, directory: string): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = statSync(directory);
  fchownSync(fd, uid, gid);
}

function running(holder: LockHolder | null): BackupError {
  return new BackupError(
    "BACKUP_RUNNING",
    `another backup of this database runs: ${describeHolder(holder, "backup")}`,
    {
      hint: "Wait until it has ended, or let this one wait with --wait.",
    },
  );
}

function integrating(holder: LockHolder | null): BackupError {
  const who = describeHolder(holder, "integration");
  return new BackupError("BACKUP_WHILE_INTEGRATING", `the database is being integrated: ${who}`, {
    hint: "Try again soon, or let the backup wait with --wait; nothing was changed.",
  });
}

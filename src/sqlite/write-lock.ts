/**
 * SQLite's WAL_WRITE_LOCK, taken without a write transaction, because a fenced database refuses one to everybody.
 *
 * Guarantee: while it is held, no SQLite connection of any process, this one included, writes to the WAL, restarts it or
 * recovers the wal-index. It is an open-file-description lock on the byte of `-shm` that SQLite locks with F_SETLK: the two
 * kinds conflict, and unlike SQLite's own it is not lost when another descriptor of the file is closed in this process.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError } from "./database-error.ts";
import { assertLocksSupported, tryLockBytes, unlockBytes } from "./ofd-lock.ts";
import { WAL_WRITE_LOCK_BYTE } from "./wal-index.ts";

const LOCK_BYTE = { start: WAL_WRITE_LOCK_BYTE, length: 1 };
const POLL_MS = 1;

/** Descriptors that hold the lock: two holders on one descriptor would not exclude each other in the kernel. */
const holders = new Set<number>();

export class WriteLock {
  readonly #fd: number;
  #held = false;

  /**
   * `shmFd`: a descriptor of `-shm` opened for writing, that stays open longer than this object.
   * @throws DatabaseError PLATFORM_UNSUPPORTED where the lock is not proven to work.
   */
  constructor(shmFd: number) {
    this.#fd = shmFd;
    assertLocksSupported();
  }

  get held(): boolean {
    return this.#held;
  }

  /** Returns false when somebody else has it. @throws DatabaseError DATABASE_UNREADABLE when the file cannot be locked at all. */
  tryAcquire(): boolean {
    if (holders.has(this.#fd) || !tryLockBytes(this.#fd, LOCK_BYTE)) return false;
    holders.add(this.#fd);
    this.#held = true;
    return true;
  }

  /** Waits without blocking the event loop. @throws DatabaseError DATABASE_BUSY after `timeoutMs`. */
  async acquire(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!this.tryAcquire()) {
      if (performance.now() >= deadline) {
        throw new DatabaseError("DATABASE_BUSY", `a writer has held the database for ${timeoutMs} ms`, {
          hint: "Find the process with a long write transaction and let it end, then try again.",
        });
      }
      await sleep(POLL_MS);
    }
  }

  /** Does nothing when it is not held. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    holders.delete(this.#fd);
    unlockBytes(this.#fd, LOCK_BYTE);
  }
}

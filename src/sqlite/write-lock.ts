/**
 * SQLite's WAL_WRITE_LOCK, taken without a write transaction, because a fenced database refuses one to everybody.
 *
 * Guarantee: while it is held, no SQLite connection of any process, this one included, writes to the WAL, restarts it or
 * recovers the wal-index. It is an open-file-description lock (Linux, fcntl F_OFD_SETLK) on the byte of `-shm` that SQLite
 * locks with F_SETLK: the two kinds conflict, the kernel frees ours when its holder dies, and unlike SQLite's own
 * it is not lost when another descriptor of the file is closed in this process. Node has no fcntl, hence the foreign call.
 */
import { setTimeout as sleep } from "node:timers/promises";
import koffi from "koffi";
import { DatabaseError } from "./database-error.ts";
import { WAL_WRITE_LOCK_BYTE } from "./wal-index.ts";

const F_OFD_SETLK = 37;
const F_WRLCK = 1;
const F_UNLCK = 2;
const SEEK_SET = 0;
/** "Somebody else has it", in the two spellings that POSIX allows. */
const BUSY_ERRNOS = new Set([11, 13]);
const POLL_MS = 1;
/** Where `off_t` has 64 bits, so that {@link FLOCK_LAYOUT} is the C library's `struct flock`. */
const ARCHITECTURES_64_BIT = new Set(["x64", "arm64", "riscv64", "loong64", "ppc64", "s390x"]);

const FLOCK_LAYOUT = { l_type: "int16", l_whence: "int16", l_start: "int64", l_len: "int64", l_pid: "int32" };

/** Takes or frees the lock byte; 0, or the errno. */
type SetLock = (fd: number, type: number) => number;

let setLock: SetLock | null = null;

/** Descriptors that hold the lock: two holders on one descriptor would not exclude each other in the kernel. */
const holders = new Set<number>();

export class WriteLock {
  readonly #fd: number;
  readonly #setLock: SetLock;
  #held = false;

  /**
   * `shmFd`: a descriptor of `-shm` opened for writing, that stays open longer than this object.
   * @throws DatabaseError PLATFORM_UNSUPPORTED where the lock is not proven to work.
   */
  constructor(shmFd: number) {
    this.#fd = shmFd;
    setLock ??= loadSetLock();
    this.#setLock = setLock;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Returns false when somebody else has it. @throws DatabaseError DATABASE_UNREADABLE when the file cannot be locked at all. */
  tryAcquire(): boolean {
    if (holders.has(this.#fd)) return false;
    const errno = this.#setLock(this.#fd, F_WRLCK);
    if (errno === 0) {
      holders.add(this.#fd);
      this.#held = true;
      return true;
    }
    if (BUSY_ERRNOS.has(errno)) return false;
    throw new DatabaseError("DATABASE_UNREADABLE", `locking the wal-index failed: errno ${errno}`, {
      hint: "Put the database on a local file system that supports open-file-description locks.",
    });
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
    this.#setLock(this.#fd, F_UNLCK);
  }
}

function loadSetLock(): SetLock {
  if (process.platform !== "linux" || !ARCHITECTURES_64_BIT.has(process.arch)) {
    throw new DatabaseError(
      "PLATFORM_UNSUPPORTED",
      `writing into a mirror or fencing a database needs 64-bit Linux, this is ${process.platform} on ${process.arch}`,
      { hint: "Run this member on Linux; the operational role works on other platforms." },
    );
  }
  const pointer = koffi.pointer(koffi.struct(FLOCK_LAYOUT));
  // The C library is already in the process: asking for no file by name works with glibc and musl alike.
  const fcntl = koffi.load(null).func("int fcntl(int fd, int cmd, ...)");
  return (fd, type) => {
    const request = { l_type: type, l_whence: SEEK_SET, l_start: WAL_WRITE_LOCK_BYTE, l_len: 1, l_pid: 0 };
    return fcntl(fd, F_OFD_SETLK, pointer, request) === -1 ? koffi.errno() : 0;
  };
}

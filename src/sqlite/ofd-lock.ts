/**
 * Open-file-description locks on bytes of a file (Linux, fcntl F_OFD_SETLK), which Node does not offer.
 *
 * They conflict with each other and with the POSIX locks that SQLite takes. They belong to the open descriptor: the kernel
 * frees them when it is closed, by whatever way its process ends, and closing another descriptor of the file frees none.
 * Two locks on one descriptor do not exclude each other.
 */
import koffi from "koffi";
import { DatabaseError } from "./database-error.ts";

const F_OFD_SETLK = 37;
const F_WRLCK = 1;
const F_UNLCK = 2;
const SEEK_SET = 0;
/** "Somebody else has it", in the two spellings that POSIX allows. */
const BUSY_ERRNOS = new Set([11, 13]);
/** Where `off_t` has 64 bits, so that {@link FLOCK_LAYOUT} is the C library's `struct flock`. */
const ARCHITECTURES_64_BIT = new Set(["x64", "arm64", "riscv64", "loong64", "ppc64", "s390x"]);

const FLOCK_LAYOUT = { l_type: "int16", l_whence: "int16", l_start: "int64", l_len: "int64", l_pid: "int32" };

export interface ByteRange {
  readonly start: number;
  readonly length: number;
}

/** Takes or frees bytes; 0, or the errno. */
type SetLock = (fd: number, type: number, range: ByteRange) => number;

let setLock: SetLock | null = null;

/** @throws DatabaseError PLATFORM_UNSUPPORTED where the locks are not proven to work. */
export function assertLocksSupported(): void {
  setLock ??= loadSetLock();
}

/**
 * Locks the bytes for writing; they need not exist. Returns false when somebody else has one of them.
 * @throws DatabaseError PLATFORM_UNSUPPORTED; DATABASE_UNREADABLE when the file cannot be locked at all.
 */
export function tryLockBytes(fd: number, range: ByteRange): boolean {
  setLock ??= loadSetLock();
  const errno = setLock(fd, F_WRLCK, range);
  if (errno === 0) return true;
  if (BUSY_ERRNOS.has(errno)) return false;
  throw new DatabaseError("DATABASE_UNREADABLE", `locking failed: errno ${errno}`, {
    hint: "Put databases and state on a local file system that supports open-file-description locks.",
  });
}

/** Frees the bytes; those that are not locked stay so. */
export function unlockBytes(fd: number, range: ByteRange): void {
  setLock?.(fd, F_UNLCK, range);
}

function loadSetLock(): SetLock {
  if (process.platform !== "linux" || !ARCHITECTURES_64_BIT.has(process.arch)) {
    throw new DatabaseError(
      "PLATFORM_UNSUPPORTED",
      `mirrors, fences and backups need 64-bit Linux, this is ${process.platform} on ${process.arch}`,
      { hint: "Run this member on Linux; the operational role works on other platforms." },
    );
  }
  const pointer = koffi.pointer(koffi.struct(FLOCK_LAYOUT));
  // The C library is already in the process: asking for no file by name works with glibc and musl alike.
  const fcntl = koffi.load(null).func("int fcntl(int fd, int cmd, ...)");
  return (fd, type, { start, length }) => {
    const request = { l_type: type, l_whence: SEEK_SET, l_start: start, l_len: length, l_pid: 0 };
    return fcntl(fd, F_OFD_SETLK, pointer, request) === -1 ? koffi.errno() : 0;
  };
}

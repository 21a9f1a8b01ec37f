/**
 * The fence: a database that no SQLite refuses to read and none agrees to write.
 *
 * SQLite treats a database whose write version (byte 18 of page 1) is above 2 as read-only (SQLite file format, section
 * 1.3.3). The fence is that byte, changed by one commit under SQLite's own write lock: a transaction either commits before it
 * or fails with SQLITE_READONLY or SQLITE_BUSY_SNAPSHOT. It needs no running process, and survives crashes and copies.
 * A connection that has seen the fence stays read-only until it is opened again.
 */
import { AppendSession, type SessionOptions } from "./append-session.ts";
import type { WalIndexState } from "./wal-index.ts";
import type { WalMark } from "./wal-mark.ts";
import { FENCED, WRITABLE, type WriteVersion } from "./write-version.ts";

/**
 * Makes the WAL-mode database at `path` read-only for every application; waits for a running write transaction. Returns false
 * when it already was.
 * @throws DatabaseError DATABASE_MISSING, DATABASE_NOT_SQLITE, DATABASE_NOT_WAL, DATABASE_BUSY, PLATFORM_UNSUPPORTED
 */
export async function fence(path: string, options: SessionOptions = {}): Promise<boolean> {
  return await setWriteVersion(path, FENCED, options);
}

/** Undoes {@link fence}; returns false when the database was not fenced. Throws as it does. */
export async function unfence(path: string, options: SessionOptions = {}): Promise<boolean> {
  return await setWriteVersion(path, WRITABLE, options);
}

/** Whether SQLite refuses writes. Throws as {@link fence} does. */
export async function isFenced(path: string, options: SessionOptions = {}): Promise<boolean> {
  const session = await AppendSession.open(path, options);
  try {
    return session.inReadTransaction((state) => session.readWriteVersion(state) === FENCED);
  } finally {
    session.close();
  }
}

async function setWriteVersion(path: string, writeVersion: WriteVersion, options: SessionOptions): Promise<boolean> {
  const session = await AppendSession.open(path, options);
  try {
    return await session.appender.exclusively(async (state) => {
      if (session.readWriteVersion(state) === writeVersion) return false;
      await appendWriteVersion(session, state, writeVersion);
      return true;
    });
  } finally {
    session.close();
  }
}

/** Commits page 1 as it is, but for its write version. Under the write lock, with its `state`. */
export async function appendWriteVersion(
  session: AppendSession,
  state: WalIndexState,
  writeVersion: WriteVersion,
): Promise<WalMark> {
  const pageCount = session.files.readPageCount(state, session.pageSize);
  const pages = [{ pgno: 1, data: session.readPage1(state) }];
  return await session.appender.append(state, { pageCount, writeVersion, pages });
}

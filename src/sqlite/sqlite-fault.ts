/** What an exception of better-sqlite3 means to us. */
import { errnoOf } from "../errno.ts";
import { DatabaseError, type DatabaseErrorCode } from "./database-error.ts";

const FAULTS: readonly { prefix: string; code: DatabaseErrorCode; message: string; hint: string }[] = [
  {
    prefix: "SQLITE_BUSY",
    code: "DATABASE_BUSY",
    message: "the database is locked",
    hint: "Try again; a connection with locking_mode=EXCLUSIVE must be closed first.",
  },
  {
    prefix: "SQLITE_NOTADB",
    code: "DATABASE_NOT_SQLITE",
    message: "the file is not an SQLite database, or it is encrypted",
    hint: "Check the path in the configuration.",
  },
];

/** Whether SQLite refused because somebody else holds a lock. */
export function isBusy(error: unknown): boolean {
  return errnoOf(error)?.startsWith("SQLITE_BUSY") ?? false;
}

/** Whether SQLite refused to write: the database is fenced. */
export function isReadOnly(error: unknown): boolean {
  return errnoOf(error)?.startsWith("SQLITE_READONLY") ?? false;
}

/** Wraps what SQLite threw during `step`; a DatabaseError is passed on as it is. */
export function sqliteFault(path: string, step: string, cause: unknown): DatabaseError {
  if (cause instanceof DatabaseError) return cause;
  const code = errnoOf(cause) ?? "";
  const fault = FAULTS.find(({ prefix }) => code.startsWith(prefix));
  return new DatabaseError(fault?.code ?? "DATABASE_UNREADABLE", `${step}: ${fault?.message ?? String(cause)}`, {
    path,
    cause,
    hint: fault?.hint ?? "Check the permissions of the database's directory and run PRAGMA integrity_check.",
  });
}

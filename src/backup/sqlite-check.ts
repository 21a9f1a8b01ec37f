/**
 * What SQLite itself says of a copy of a database, that nothing else has open.
 *
 * It is opened for writing and locked, because SQLite opens a database in WAL mode without a `-shm` file only so; nothing is
 * written. What is left behind when the process is killed is an empty `-wal`.
 */
import { lstatSync } from "node:fs";
import SqliteDatabase, { type Database } from "better-sqlite3";
import { errnoOf, messageOf } from "../errno.ts";

export type CheckKind = "integrity_check" | "quick_check";

export interface CheckResult {
  /** Null when the file could not be checked. */
  readonly passed: CheckKind | null;
  /** Why it could not be checked; null when it was. */
  readonly reason: string | null;
  /** One sentence for each fault. */
  readonly problems: readonly string[];
}

export interface ExpectedSize {
  readonly pageSize: number;
  readonly pageCount: number;
}

/** Files that SQLite would take as part of the database. */
export const SIDE_FILES = ["-wal", "-shm", "-journal"] as const;

const PROBLEMS_SHOWN = 10;

/**
 * Blocks for as long as the check takes. The application's own functions and collations are not ours: with an index on
 * an expression that SQLite cannot compute, `integrity_check` falls back to `quick_check`, and with a collation
 * that it does not know there is none.
 */
export function checkWithSqlite(path: string, kind: CheckKind, expected: ExpectedSize): CheckResult {
  const beside = SIDE_FILES.find((suffix) => (lstatSync(path + suffix, { throwIfNoEntry: false })?.size ?? 0) > 0);
  if (beside !== undefined) return notChecked(`${path}${beside} is there: another program has opened the file`);
  let database: Database | null = null;
  try {
    database = new SqliteDatabase(path, { fileMustExist: true, timeout: 0 });
    database.pragma("locking_mode = EXCLUSIVE");
    const problems = sizeProblems(database, expected);
    return withFallback(database, kind, problems);
  } catch (error) {
    const code = errnoOf(error) ?? "";
    if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) return { passed: null, reason: null, problems: [messageOf(error)] };
    return notChecked(messageOf(error));
  } finally {
    database?.close();
  }
}

function withFallback(database: Database, kind: CheckKind, problems: string[]): CheckResult {
  try {
    return { passed: kind, reason: null, problems: [...problems, ...runCheck(database, kind)] };
  } catch (error) {
    if (kind === "quick_check" || errnoOf(error) !== "SQLITE_ERROR") throw error;
    return withFallback(database, "quick_check", problems);
  }
}

function runCheck(database: Database, kind: CheckKind): string[] {
  const found = database.prepare<[], string>(`PRAGMA ${kind}(${PROBLEMS_SHOWN})`).pluck().all();
  return found.length === 1 && found[0] === "ok" ? [] : found;
}

function sizeProblems(database: Database, { pageSize, pageCount }: ExpectedSize): string[] {
  const found = { size: Number(database.pragma("page_size", { simple: true })), count: countOf(database) };
  return found.size === pageSize && found.count === pageCount
    ? []
    : [`SQLite sees ${found.count} pages of ${found.size} bytes instead of ${pageCount} of ${pageSize}`];
}

function countOf(database: Database): number {
  return Number(database.pragma("page_count", { simple: true }));
}

function notChecked(reason: string): CheckResult {
  return { passed: null, reason, problems: [] };
}

/** Looks at this machine's databases before a mirror set is set up: nothing is changed but the journal mode, when asked for. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { MemberConfiguration } from "../config/configuration.ts";
import { databaseAt, patternDirectory } from "../config/database-pattern.ts";
import { messageOf } from "../errno.ts";
import { DatabaseError } from "../sqlite/database-error.ts";
import { isWholeDatabase } from "../sqlite/whole-database.ts";

const BUSY_TIMEOUT_MS = 5_000;

/**
 * The databases of an operational member that are not in WAL mode.
 * @throws DatabaseError DATABASE_MISSING or DATABASE_NOT_SQLITE.
 */
export function databasesToConvert(member: MemberConfiguration): string[] {
  return [...member.databases.values(), ...foundByPatterns(member)].filter((path) => journalMode(path) !== "wal");
}

/** @throws DatabaseError DATABASE_BUSY when the database is in use and does not let itself be converted. */
export function convertToWal(path: string): void {
  const db = new Database(path, { fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
  try {
    const mode: unknown = db.pragma("journal_mode = WAL", { simple: true });
    if (mode === "wal") return;
    throw new DatabaseError("DATABASE_NOT_WAL", `the database stays in journal mode ${String(mode)}`, { path });
  } catch (error) {
    if (error instanceof DatabaseError) throw error;
    throw new DatabaseError("DATABASE_BUSY", `the database cannot be converted: ${messageOf(error)}`, {
      path,
      hint: "close the applications that use it, and run the command again",
      cause: error,
    });
  } finally {
    db.close();
  }
}

/** A mirror's databases are made from the snapshot: a file that is there already would have to be overwritten. */
export function refuseForeignDatabases(member: MemberConfiguration): void {
  if (existsSync(join(member.state, "state.db"))) return;
  for (const path of [...member.databases.values(), ...foundByPatterns(member)]) {
    if (!existsSync(path)) continue;
    throw new DatabaseError("DATABASE_EXISTS", "there is a file where the mirror's database is to be made", {
      path,
      hint: `if applications write it here, this is not the machine of ${member.name}; else move it away, or name another path`,
    });
  }
}

/** The databases that the member's patterns find now; others may come later, and need no preparation. */
function foundByPatterns({ databasePatterns }: MemberConfiguration): string[] {
  return databasePatterns.flatMap((pattern) => {
    const directory = patternDirectory(pattern);
    const entries = existsSync(directory) ? readdirSync(directory) : [];
    const files = entries.flatMap((entry) => databaseAt(pattern, entry) ?? []).map(({ path }) => path);
    return files.filter(isWholeDatabase);
  });
}

function journalMode(path: string): string {
  if (!existsSync(path)) {
    throw new DatabaseError("DATABASE_MISSING", "the operational member's database does not exist", {
      path,
      hint: "let the application make it first, or correct the path",
    });
  }
  const db = new Database(path, { fileMustExist: true, readonly: true, timeout: BUSY_TIMEOUT_MS });
  try {
    return String(db.pragma("journal_mode", { simple: true }));
  } catch (error) {
    throw new DatabaseError("DATABASE_NOT_SQLITE", `the file is no SQLite database: ${messageOf(error)}`, {
      path,
      cause: error,
    });
  } finally {
    db.close();
  }
}

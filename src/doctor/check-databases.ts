/** Each database of this member: there, readable, in WAL mode. */
import { existsSync, readdirSync } from "node:fs";
import { databaseAt, patternDirectory } from "../config/database-pattern.ts";
import { type CheckResult, failed, failure, ok } from "../member/check-result.ts";
import { DatabaseError } from "../sqlite/database-error.ts";
import { DatabaseFiles } from "../sqlite/database-files.ts";
import { FENCED } from "../sqlite/write-version.ts";
import type { Subject } from "./subject.ts";

/** Byte 19 of page 1 in WAL mode (SQLite file format, section 1.3.3). */
const WAL_READ_VERSION = 2;

export function checkDatabases({ configuration, member }: Subject): CheckResult[] {
  const operational = configuration.operational === member.name;
  const named = [...member.databases].map(([name, path]) => checkDatabase(name, path, operational));
  const matching = member.databasePatterns.flatMap((pattern) => {
    const check = `databases ${pattern.name}`;
    try {
      const found = readdirSync(patternDirectory(pattern)).flatMap((entry) => databaseAt(pattern, entry) ?? []);
      const results = found.map(({ name, path }) => checkDatabase(name, path, operational));
      return [ok(check, `${found.length} below ${patternDirectory(pattern)}`), ...results];
    } catch (error) {
      const hint = "Make the directory, or give the user that Afterimage runs as permission to read it.";
      return [{ ...failed(check, error), hint }];
    }
  });
  return [...named, ...matching];
}

function checkDatabase(name: string, path: string, operational: boolean): CheckResult {
  const check = `database ${name}`;
  try {
    const files = DatabaseFiles.open(path);
    try {
      const { pageSize, readVersion, writeVersion } = files.readHeader();
      if (readVersion !== WAL_READ_VERSION) return notWal(check, path);
      return ok(check, `${path}: WAL mode, pages of ${pageSize} bytes${writeVersion >= FENCED ? ", fenced" : ""}`);
    } finally {
      files.close();
    }
  } catch (error) {
    const missing = error instanceof DatabaseError && error.code === "DATABASE_MISSING";
    return missing && !operational
      ? ok(check, `${path}: not there yet; a mirror makes it from its first snapshot`)
      : failed(check, error);
  }
}

function notWal(check: string, path: string): CheckResult {
  const hint =
    "Convert it with `afterimage init --convert-wal`, or with PRAGMA journal_mode=WAL; applications need no change.";
  return failure(check, `${path} is not in WAL mode`, hint);
}

/** Page sizes of this member's databases that are there and can be read, by name. */
export function pageSizes({ member }: Pick<Subject, "member">): Map<string, number> {
  const found = member.databasePatterns.flatMap((pattern) => {
    const directory = patternDirectory(pattern);
    return existsSync(directory) ? readdirSync(directory).flatMap((entry) => databaseAt(pattern, entry) ?? []) : [];
  });
  const paths = [...member.databases, ...found.map(({ name, path }): [string, string] => [name, path])];
  return new Map(
    paths.flatMap(([name, path]): [string, number][] => {
      const size = pageSizeOf(path);
      return size === null ? [] : [[name, size]];
    }),
  );
}

function pageSizeOf(path: string): number | null {
  try {
    const files = DatabaseFiles.open(path);
    try {
      return files.readHeader().pageSize;
    } finally {
      files.close();
    }
  } catch {
    // What is wrong with it is another check's result.
    return null;
  }
}

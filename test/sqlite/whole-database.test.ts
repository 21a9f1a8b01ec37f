import { mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { isWholeDatabase } from "../../src/sqlite/whole-database.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

test.each([512, 4096, 65_536])("a database with pages of %i bytes is whole with its last byte", (pageSize) => {
  const path = join(temporaryDirectory(), "a.db");
  const db = new Database(path);
  db.pragma(`page_size = ${pageSize}`);
  db.exec("CREATE TABLE t (x); CREATE INDEX i ON t (x)");
  db.close();
  expect(isWholeDatabase(path)).toBe(true);
  truncateSync(path, readFileSync(path).length - 1);
  expect(isWholeDatabase(path)).toBe(false);
});

test("nothing, a directory, an empty file and other files are no databases", () => {
  const directory = temporaryDirectory();
  const path = join(directory, "a.db");
  expect(isWholeDatabase(path)).toBe(false);
  writeFileSync(path, "");
  expect(isWholeDatabase(path)).toBe(false);
  writeFileSync(path, "SQLite format 4\0".padEnd(4096, "x"));
  expect(isWholeDatabase(path)).toBe(false);
  mkdirSync(join(directory, "b.db"));
  expect(isWholeDatabase(join(directory, "b.db"))).toBe(false);
});

import { closeSync, copyFileSync, openSync, truncateSync, writeSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { compareDatabases, integrityCheck, settleDatabase } from "../../src/demo/compare-databases.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const PAGE_SIZE = 4096;

function twoCopies(): { original: string; copy: string } {
  const directory = temporaryDirectory();
  const [original, copy] = [join(directory, "a.db"), join(directory, "b.db")];
  const db = new Database(original);
  db.pragma("journal_mode = WAL");
  db.exec("CREATE TABLE t (x)");
  const insert = db.prepare("INSERT INTO t VALUES (?)");
  for (let i = 0; i < 1_000; i++) insert.run(`row ${i} `.repeat(200));
  db.close();
  copyFileSync(original, copy);
  return { original, copy };
}

function overwrite(path: string, position: number, byte: number): void {
  const file = openSync(path, "r+");
  writeSync(file, Uint8Array.of(byte), 0, 1, position);
  closeSync(file);
}

test("copies are identical, and stay so when only the write version differs", () => {
  const { original, copy } = twoCopies();
  expect(compareDatabases(original, copy).identical).toBe(true);
  overwrite(copy, 18, 3);
  expect(compareDatabases(original, copy)).toMatchObject({ identical: true, differingPages: [] });
  expect(integrityCheck(copy)).toBe("ok");
});

test("pages that differ are named, also beyond the first block", () => {
  const { original, copy } = twoCopies();
  overwrite(copy, 19, 9);
  overwrite(copy, 300 * PAGE_SIZE + 5, 0xee);
  expect(compareDatabases(original, copy)).toMatchObject({ identical: false, differingPages: [1, 301] });
});

test("a database that lacks its last page is not identical", () => {
  const { original, copy } = twoCopies();
  const pages = compareDatabases(original, copy).pages[0];
  truncateSync(copy, (pages - 1) * PAGE_SIZE);
  expect(compareDatabases(original, copy)).toEqual({ identical: false, differingPages: [], pages: [pages, pages - 1] });
});

test("settling moves what is in the WAL into the file, and refuses while someone reads", () => {
  const { original, copy } = twoCopies();
  const writer = new Database(original);
  writer.pragma("wal_autocheckpoint = 0");
  writer.exec("INSERT INTO t VALUES ('a snapshot from here')");
  const reader = new Database(original, { readonly: true });
  reader.exec("BEGIN");
  reader.prepare("SELECT count(*) FROM t").get();
  writer.exec("INSERT INTO t VALUES ('new')");
  expect(() => settleDatabase(original)).toThrow(/still in use/);
  reader.close();
  writer.close();
  settleDatabase(original);
  expect(compareDatabases(original, copy).identical).toBe(false);
});

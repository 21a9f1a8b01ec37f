/** The write lock against SQLite's own, in this process and in another one. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { DatabaseFiles } from "../../src/sqlite/database-files.ts";
import { WriteLock } from "../../src/sqlite/write-lock.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const PROGRAM = `
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0).execute("BEGIN IMMEDIATE")
    print("taken")
except sqlite3.OperationalError as error:
    print(error)
`;

function lockedDatabase() {
  const path = join(temporaryDirectory(), "application.db");
  const files = new Sqlite(path);
  files.pragma("journal_mode = WAL");
  files.exec("CREATE TABLE entry (id INTEGER)");
  const descriptors = DatabaseFiles.open(path);
  onTestFinished(() => {
    files.close();
    descriptors.close();
  });
  const other = new Sqlite(path, { timeout: 0 });
  onTestFinished(() => void other.close());
  return { path, connection: files, other, fd: descriptors.walIndexDescriptor };
}

test("while it is held, no connection can begin to write, here or elsewhere, and all can read", () => {
  const { path, other, fd } = lockedDatabase();
  const lock = new WriteLock(fd);
  expect(lock.tryAcquire()).toBe(true);
  expect(() => other.exec("BEGIN IMMEDIATE")).toThrow(/locked/);
  expect(execFileSync("python3", ["-c", PROGRAM, path], { encoding: "utf8" })).toMatch(/locked/);
  expect(other.prepare("SELECT count(*) AS n FROM entry").get()).toEqual({ n: 0 });
  lock.release();
  expect(execFileSync("python3", ["-c", PROGRAM, path], { encoding: "utf8" }).trim()).toBe("taken");
  other.exec("BEGIN IMMEDIATE; COMMIT");
});

test("it is not given while a connection of this process writes, and waits for it", async () => {
  const { connection, fd } = lockedDatabase();
  const lock = new WriteLock(fd);
  connection.exec("BEGIN IMMEDIATE");
  expect(lock.tryAcquire()).toBe(false);
  await expect(lock.acquire(10)).rejects.toMatchObject({ code: "DATABASE_BUSY" });
  const waiting = lock.acquire(10_000);
  connection.exec("COMMIT");
  await waiting;
  expect(lock.held).toBe(true);
  lock.release();
});

test("two holders that share a descriptor exclude each other", () => {
  const { fd } = lockedDatabase();
  const [first, second] = [new WriteLock(fd), new WriteLock(fd)];
  expect(first.tryAcquire()).toBe(true);
  expect(second.tryAcquire()).toBe(false);
  second.release();
  expect(second.tryAcquire()).toBe(false);
  first.release();
  expect(second.tryAcquire()).toBe(true);
  second.release();
});

import { renameSync, rmSync } from "node:fs";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { countEntries, createEntries } from "../support/entries.ts";
import { readEvents } from "../support/events.ts";
import { createSet, OPERATIONAL, PAIR, startAll, stopAndCompare, untilLevel, untilSet } from "../support/mirror-set.ts";

async function startWithEntries(): Promise<{ set: DemoSet; path: string }> {
  const set = createSet(PAIR);
  const path = set.databasePath(OPERATIONAL);
  createEntries(path);
  await startAll(set);
  addEntry(path, 1);
  await untilLevel(set, countEntries);
  return { set, path };
}

function addEntry(path: string, number: number): void {
  const db = new Database(path);
  db.prepare("INSERT INTO entry VALUES ('ana', ?, randomblob(500))").run(number);
  db.close();
}

async function untilError(set: DemoSet, code: string): Promise<void> {
  await untilSet(set, `status says ${code}`, () => set.databaseStatus(OPERATIONAL)?.error?.code === code);
  expect(set.databaseStatus(OPERATIONAL)?.error?.hint).toEqual(expect.stringMatching(/\w+ \w+/));
}

test("a database file that was deleted is said in the status", async () => {
  const { set, path } = await startWithEntries();
  for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
  await untilError(set, "DATABASE_MISSING");
});

test("a database file that was replaced is said, and the mirror follows the new content", async () => {
  const { set, path } = await startWithEntries();
  createEntries(`${path}.other`);
  for (let number = 1; number <= 20; number++) addEntry(`${path}.other`, number);
  replaceDatabase(`${path}.other`, path);
  expect(await untilLevel(set, countEntries)).toEqual({ ana: 20 });
  expect(readEvents(set, OPERATIONAL).map(({ code }) => code)).toContain("DATABASE_REPLACED");
  await stopAndCompare(set);
});

test("a database of another page size is refused, and capture goes on when the former one is back", async () => {
  const { set, path } = await startWithEntries();
  await copyDatabase(path, `${path}.former`);
  createEntries(`${path}.other`, 8192);
  replaceDatabase(`${path}.other`, path);
  await untilError(set, "PAGE_SIZE_CHANGED");
  replaceDatabase(`${path}.former`, path);
  await untilSet(set, "the error is gone", () => set.databaseStatus(OPERATIONAL)?.error === null);
  addEntry(path, 2);
  expect(await untilLevel(set, countEntries)).toEqual({ ana: 2 });
  await stopAndCompare(set);
});

test("a database cannot leave WAL mode under the daemon, and one that left it meanwhile is said in the status", async () => {
  const { set, path } = await startWithEntries();
  expect(() => leaveWalMode(path)).toThrow(/locked/);
  await set.stopDaemons();
  leaveWalMode(path);
  set.startDaemon(OPERATIONAL);
  await untilError(set, "DATABASE_NOT_WAL");
});

function replaceDatabase(from: string, path: string): void {
  for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
  renameSync(from, path);
}

function leaveWalMode(path: string): void {
  const db = new Database(path, { timeout: 0 });
  try {
    db.pragma("journal_mode = DELETE");
  } finally {
    db.close();
  }
}

/** Copies the database at its newest commit through SQLite, as backups do. */
async function copyDatabase(path: string, copy: string): Promise<void> {
  const db = new Database(path);
  await db.backup(copy);
  db.close();
}

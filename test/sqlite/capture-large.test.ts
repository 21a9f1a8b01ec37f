import { closeSync, openSync, readSync, truncateSync, writeSync } from "node:fs";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { lockBytePage } from "../../src/ltx/page-checksum.ts";
import { OperationalDatabase } from "../../src/sqlite/operational-database.ts";
import type { Page } from "../../src/sqlite/page-run.ts";
import { createDatabase } from "./application-database.ts";
import { TestProcess } from "./processes.ts";

const MIB = 1 << 20;

test("a transaction of 300 MiB is captured with little memory", async () => {
  const capture = TestProcess.node("largeCapture", [createDatabase(), "300"]);
  await capture.more(1);
  expect(capture.latest).toMatchObject({ commits: 1, different: 0 });
  const { pages, grownBytes } = capture.latest as { pages: number; grownBytes: number };
  expect(pages).toBeGreaterThan((300 * MIB) / 4096);
  expect(grownBytes).toBeLessThan(48 * MIB);
});

test("the lock-byte page is given out neither by captures nor by baselines", () => {
  const pageSize = 65536;
  const lockPage = lockBytePage(pageSize);
  const path = createDatabase(pageSize);
  growTo(path, pageSize, lockPage - 5);
  const database = OperationalDatabase.open(path);
  database.adopt(database.baseline());
  const writer = new Database(path);
  writer.exec("INSERT INTO t (a) VALUES (randomblob(1000000))");
  const change = database.capture({ maxBytes: 1 << 24 });
  if (change === null) throw new Error("nothing was captured");
  const captured = copies(change.pages());
  database.accept(change);
  expect(change.pageCount).toBeGreaterThan(lockPage);
  const baseline = database.baseline();
  const tail = copies(baseline.pagesFrom(lockPage - 4));
  baseline.close();
  for (const pages of [captured, tail]) {
    expect([lockPage - 1, lockPage, lockPage + 1].map((pgno) => pages.has(pgno))).toEqual([true, false, true]);
  }
  for (const [pgno, data] of tail) expect([pgno, captured.get(pgno)?.equals(data)]).toEqual([pgno, true]);
  expect(tail.size).toBe(change.pageCount - (lockPage - 4));
  writer.close();
  database.close();
});

function copies(pages: Iterable<Page>): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (const { pgno, data } of pages) found.set(pgno, Buffer.from(data));
  return found;
}

/** Makes the database longer by pages that nothing refers to; the file has a hole there. */
function growTo(path: string, pageSize: number, pageCount: number): void {
  const fd = openSync(path, "r+");
  const header = Buffer.alloc(100);
  readSync(fd, header, 0, 100, 0);
  header.writeUInt32BE(pageCount, 28);
  header.copy(header, 92, 24, 28);
  writeSync(fd, header, 0, 100, 0);
  closeSync(fd);
  truncateSync(path, pageCount * pageSize);
}

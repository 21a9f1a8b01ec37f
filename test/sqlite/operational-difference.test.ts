import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { OperationalDatabase } from "../../src/sqlite/operational-database.ts";
import { PageChecksumTable } from "../../src/sqlite/page-checksum-table.ts";
import { diffBaseline, type PageDifference } from "../../src/sqlite/page-difference.ts";
import { stageChecksums } from "../../src/sqlite/stage-checksums.ts";
import { createDatabase } from "./application-database.ts";
import { MemoryChunkStore } from "./memory-chunk-store.ts";

interface Scene {
  readonly writer: Database.Database;
  readonly database: OperationalDatabase;
  readonly table: PageChecksumTable;
  difference(): PageDifference;
}

/** A database of some hundred pages and a table that speaks of its present state. */
function createScene(): Scene {
  const path = createDatabase();
  const writer = new Database(path);
  for (let i = 0; i < 30; i++) writer.exec("INSERT INTO t (a, b) VALUES (zeroblob(20000), 'row')");
  const database = OperationalDatabase.open(path);
  onTestFinished(() => {
    writer.close();
    database.close();
  });
  const table = new PageChecksumTable(new MemoryChunkStore());
  const baseline = database.baseline();
  for (const _page of stageChecksums(table, baseline));
  baseline.close();
  table.flush();
  table.settle();
  return { writer, database, table, difference: () => diffBaseline(database.baseline(), table) };
}

function pgnos(difference: PageDifference): number[] {
  const found: number[] = [];
  for (const { pgno } of difference.pages()) found.push(pgno);
  return found;
}

test("a database that did not change has no difference", () => {
  const { table, difference } = createScene();
  const { checksum } = table;
  const found = difference();
  expect([pgnos(found), found.changedPages, found.pageCount, table.checksum]).toEqual([
    [],
    0,
    table.pageCount,
    checksum,
  ]);
});

test("only the pages that changed are given out, and the table then speaks of the new state", () => {
  const { writer, table, difference } = createScene();
  const { pageCount } = table;
  writer.exec("UPDATE t SET b = 'new' WHERE id = 17");
  const found = difference();
  const changed = pgnos(found);
  expect(changed.length).toBe(found.changedPages);
  expect(changed.length).toBeGreaterThan(0);
  expect(changed.length).toBeLessThan(pageCount / 5);
  expect(pgnos(difference())).toEqual([]);
});

test("a second iteration gives the same pages, also after the staged changes were discarded", () => {
  const { writer, table, difference } = createScene();
  writer.exec("UPDATE t SET b = 'new' WHERE id % 3 = 0");
  const found = difference();
  const first = pgnos(found);
  const { checksum } = table;
  expect(pgnos(found)).toEqual(first);
  table.discard();
  expect(pgnos(found)).toEqual(first);
  expect([found.changedPages, table.checksum]).toEqual([first.length, checksum]);
});

test("an iteration that was given up is completed by the next", () => {
  const { writer, table, difference } = createScene();
  writer.exec("UPDATE t SET b = 'new' WHERE id % 3 = 0");
  const all = pgnos(difference());
  table.discard();
  const found = difference();
  for (const { pgno } of found.pages()) if (pgno === all[1]) break;
  expect(pgnos(found)).toEqual(all);
});

test("the table is untouched until the iteration moves on from the first page", () => {
  const { writer, table, difference } = createScene();
  writer.exec("DELETE FROM t WHERE id > 5; PRAGMA incremental_vacuum");
  const before = [table.pageCount, table.checksum];
  const iterator = difference().pages()[Symbol.iterator]();
  iterator.next();
  expect([table.pageCount, table.checksum]).toEqual(before);
});

test("pages that left the database leave the table, and new ones enter it", () => {
  const { writer, table, difference } = createScene();
  const { pageCount } = table;
  writer.exec("DELETE FROM t WHERE id > 5; PRAGMA incremental_vacuum");
  pgnos(difference());
  expect(table.pageCount).toBe(writer.pragma("page_count", { simple: true }));
  expect(table.pageCount).toBeLessThan(pageCount);
  for (let i = 0; i < 60; i++) writer.exec("INSERT INTO t (a) VALUES (zeroblob(20000))");
  pgnos(difference());
  expect(table.pageCount).toBe(writer.pragma("page_count", { simple: true }));
  expect(pgnos(difference())).toEqual([]);
});

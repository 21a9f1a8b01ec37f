import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DatabaseChecksum } from "../../src/ltx/database-checksum.ts";
import { lockBytePage, pageChecksum } from "../../src/ltx/page-checksum.ts";
import { PageChecksumTable } from "../../src/sqlite/page-checksum-table.ts";
import type { PageRun } from "../../src/sqlite/page-run.ts";
import { PageSumsStore, readPageSums, writePageSums } from "../../src/sqlite/page-sums.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { MemoryChunkStore } from "./memory-chunk-store.ts";

const PAGE_SIZE = 512;

/** Pages that differ from each other; a page of zeros costs as much as any other. */
function pageOf(pgno: number, salt: number): Uint8Array {
  const data = new Uint8Array(PAGE_SIZE);
  new DataView(data.buffer).setUint32(0, pgno * 7919 + salt);
  return data;
}

function runOf(pageCount: number, salt: number): PageRun {
  return {
    pageSize: PAGE_SIZE,
    pageCount,
    *pages() {
      for (let pgno = 1; pgno <= pageCount; pgno++) {
        if (pgno !== lockBytePage(PAGE_SIZE)) yield { pgno, data: pageOf(pgno, salt) };
      }
    },
  };
}

test("a file of page checksums says of every page what the page says, whatever the size of the database", async () => {
  const path = join(temporaryDirectory(), "shop.sums");
  const property = fc.asyncProperty(fc.integer({ min: 1, max: 3100 }), fc.nat(1000), async (pageCount, salt) => {
    const run = runOf(pageCount, salt);
    const sums = await writePageSums(path, run);
    expect(await readPageSums(path)).toEqual(sums);
    const whole = new DatabaseChecksum();
    for (const { pgno, data } of run.pages()) whole.addPage(pgno, data);
    expect(sums).toMatchObject({ pages: pageCount, checksum: whole.value });

    using store = new PageSumsStore(path);
    const table = new PageChecksumTable(store, sums.pages, sums.checksum);
    const [found, expected] = [new Uint32Array(2), new Uint32Array(2)];
    for (const pgno of [1, Math.ceil(pageCount / 2), pageCount, pageCount + 1]) {
      table.get(pgno, found);
      expected.fill(0);
      if (pgno <= pageCount) pageChecksum(pgno, pageOf(pgno, salt), expected);
      expect([pgno, ...found]).toEqual([pgno, ...expected]);
    }
  });
  await fc.assert(property, { numRuns: 25 });
});

test("what a table over such a file writes goes to another store, together with what it has not changed", async () => {
  const path = join(temporaryDirectory(), "shop.sums");
  const target = new MemoryChunkStore();
  for (let chunk = 0; chunk < 6; chunk++) target.writeChunk(chunk, new Uint8Array(8192).fill(chunk + 1));
  const sums = await writePageSums(path, runOf(2500, 1));
  using store = new PageSumsStore(path, target);
  const table = new PageChecksumTable(store, sums.pages, sums.checksum);
  const halves = new Uint32Array(2);
  pageChecksum(1100, pageOf(1100, 2), halves);
  table.set(1100, halves[0] ?? 0, halves[1] ?? 0);
  store.copyAll();
  table.flush();
  table.settle();

  const stored = new PageChecksumTable(target, 2500, table.checksum);
  const found = new Uint32Array(2);
  for (const { pgno, data } of runOf(2500, 1).pages()) {
    pageChecksum(pgno, pgno === 1100 ? pageOf(1100, 2) : data, halves);
    stored.get(pgno, found);
    expect([pgno, ...found]).toEqual([pgno, ...halves]);
  }
  expect([2, 3, 4, 5].map((chunk) => target.readChunk(chunk) !== null)).toEqual([true, false, false, false]);
});

test("a file that was cut off is none", async () => {
  const path = join(temporaryDirectory(), "shop.sums");
  writeFileSync(path, new Uint8Array(20));
  expect(await readPageSums(path)).toBeNull();
});

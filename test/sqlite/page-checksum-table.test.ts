import fc from "fast-check";
import { expect, test } from "vitest";
import { halvesToChecksum } from "../../src/ltx/page-checksum.ts";
import { CHECKSUM_FLAG } from "../../src/ltx/position.ts";
import {
  CHUNK_BYTES,
  PAGES_PER_CHUNK,
  type PageChecksums,
  PageChecksumTable,
} from "../../src/sqlite/page-checksum-table.ts";
import { MemoryChunkStore } from "./memory-chunk-store.ts";

function read(table: PageChecksums, pgno: number): bigint {
  const halves = new Uint32Array(2);
  table.get(pgno, halves);
  return halvesToChecksum(halves[0] ?? 0, halves[1] ?? 0);
}

function put(table: PageChecksumTable, pgno: number, checksum: bigint): void {
  table.set(pgno, Number(checksum >> 32n), Number(checksum & 0xffff_ffffn));
}

function commit(table: PageChecksumTable): void {
  table.flush();
  table.settle();
}

const HIGHEST_PAGE = 3 * PAGES_PER_CHUNK + 5;
const pgno = fc.oneof(
  fc.integer({ min: 1, max: HIGHEST_PAGE }),
  fc.constantFrom(1, PAGES_PER_CHUNK, PAGES_PER_CHUNK + 1, 2 * PAGES_PER_CHUNK, HIGHEST_PAGE),
);
const checksum = fc.bigInt({ min: CHECKSUM_FLAG, max: 0xffff_ffff_ffff_ffffn });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("set" as const), pgno, checksum }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("resize" as const), pgno }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("commit", "discard", "flushAndDiscard", "reopen") }) },
);

class Model {
  pages = new Map<number, bigint>();
  pageCount = 0;

  copy(): Model {
    const copy = new Model();
    copy.pages = new Map(this.pages);
    copy.pageCount = this.pageCount;
    return copy;
  }

  get checksum(): bigint {
    return [...this.pages.values()].reduce((sum, value) => sum ^ value, 0n) | CHECKSUM_FLAG;
  }
}

test("the table is what was set, whatever is committed, discarded and stored in between", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const store = new MemoryChunkStore();
      let table = new PageChecksumTable(store);
      let staged = new Model();
      let committed = new Model();
      for (const step of steps) {
        if (step.kind === "set") {
          put(table, step.pgno, step.checksum);
          staged.pages.set(step.pgno, step.checksum);
          staged.pageCount = Math.max(staged.pageCount, step.pgno);
        } else if (step.kind === "resize") {
          table.resize(step.pgno);
          staged.pageCount = step.pgno;
          for (const page of staged.pages.keys()) if (page > step.pgno) staged.pages.delete(page);
        } else if (step.kind === "commit") {
          commit(table);
          committed = staged.copy();
        } else if (step.kind === "reopen") {
          table = new PageChecksumTable(store, committed.pageCount, committed.checksum as never);
          staged = committed.copy();
        } else {
          // A transaction that fails after the flush takes the stored chunks back as well.
          const before = new Map(store.chunks);
          if (step.kind === "flushAndDiscard") table.flush();
          store.chunks.clear();
          for (const [chunk, bytes] of before) store.chunks.set(chunk, bytes);
          table.discard();
          staged = committed.copy();
        }
        expect([table.pageCount, table.checksum]).toEqual([staged.pageCount, staged.checksum]);
      }
      for (const page of [1, 2, PAGES_PER_CHUNK, PAGES_PER_CHUNK + 1, HIGHEST_PAGE, ...staged.pages.keys()]) {
        expect([page, read(table, page)]).toEqual([page, staged.pages.get(page) ?? 0n]);
      }
    }),
  );
});

test("a chunk holds little-endian checksums in page order", () => {
  const store = new MemoryChunkStore();
  const table = new PageChecksumTable(store);
  put(table, 2, 0x8102_0304_0506_0708n);
  put(table, PAGES_PER_CHUNK + 1, 0xffff_ffff_ffff_fffen);
  commit(table);
  const [first, second] = [store.chunks.get(0), store.chunks.get(1)];
  expect([first?.length, second?.length]).toEqual([CHUNK_BYTES, CHUNK_BYTES]);
  expect([...(first ?? []).slice(0, 16)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 0x81]);
  expect([...(second ?? []).slice(0, 8)]).toEqual([0xfe, 255, 255, 255, 255, 255, 255, 255]);
});

test("chunks beyond the end of a database that shrank are deleted", () => {
  const store = new MemoryChunkStore();
  const table = new PageChecksumTable(store);
  for (let page = 1; page <= 2 * PAGES_PER_CHUNK + 1; page++) put(table, page, CHECKSUM_FLAG | BigInt(page));
  commit(table);
  expect([...store.chunks.keys()]).toEqual([0, 1, 2]);
  table.resize(PAGES_PER_CHUNK);
  commit(table);
  expect([...store.chunks.keys()]).toEqual([0]);
});

test("an empty table has the checksum of no pages", () => {
  expect(new PageChecksumTable(new MemoryChunkStore()).checksum).toBe(CHECKSUM_FLAG);
});

test("a frozen table is what it was, whatever becomes of the table while it is read", () => {
  const change = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("set" as const), pgno, checksum }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("resize" as const), pgno }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("commit" as const, "discard" as const) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("read" as const), upTo: pgno }) },
  );
  const entries = fc.array(fc.record({ pgno, checksum }), { maxLength: 30 });
  fc.assert(
    fc.property(entries, fc.array(change, { maxLength: 60 }), (before, changes) => {
      const table = new PageChecksumTable(new MemoryChunkStore());
      for (const entry of before) put(table, entry.pgno, entry.checksum);
      commit(table);
      const expected = new Map(before.map((entry) => [entry.pgno, entry.checksum]));
      const frozen = table.freeze();
      const pageCount = table.pageCount;
      const places = [...new Set([...expected.keys(), 1, PAGES_PER_CHUNK + 1, HIGHEST_PAGE])].sort((a, b) => a - b);
      const readUpTo = (last: number) => {
        for (let next = places[0]; next !== undefined && next <= last; next = places[0]) {
          expect([next, read(frozen, next)]).toEqual([next, expected.get(next) ?? 0n]);
          places.shift();
        }
      };
      for (const step of changes) {
        if (step.kind === "set") put(table, step.pgno, step.checksum);
        else if (step.kind === "resize") table.resize(step.pgno);
        else if (step.kind === "read") readUpTo(step.upTo);
        else if (step.kind === "commit") commit(table);
        else table.discard();
      }
      readUpTo(HIGHEST_PAGE);
      expect([frozen.pageCount, places]).toEqual([pageCount, []]);
      frozen.close();
    }),
  );
});

test("a table with staged changes cannot be frozen: they may yet be discarded", () => {
  const table = new PageChecksumTable(new MemoryChunkStore());
  put(table, 1, CHECKSUM_FLAG);
  expect(() => table.freeze()).toThrow(RangeError);
});

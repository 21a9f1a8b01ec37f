import fc from "fast-check";
import { expect, test } from "vitest";
import { FrameList } from "../../src/sqlite/frame-list.ts";

const pgnos = fc.array(fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 0xffff_fffe })), {
  maxLength: 700,
});

test("the newest frame of each page within the limits is kept, pages ascending", () => {
  fc.assert(
    fc.property(pgnos, fc.integer({ min: 1, max: 40 }), fc.nat(), (pages, pageCount, cut) => {
      const list = new FrameList();
      for (const pgno of pages) list.add(pgno);
      const length = pages.length === 0 ? 0 : cut % (pages.length + 1);
      const expected = new Map<number, number>();
      pages.slice(0, length).forEach((pgno, frame) => {
        if (pgno <= pageCount) expected.set(pgno, frame);
      });
      const newest = list.newest(length, 4096, pageCount);
      const found = Array.from({ length: newest.length }, (_, at) => [newest.pgno(at), newest.frame(at)]);
      expect(found).toEqual([...expected].sort(([a], [b]) => a - b));
      expect(newest.pgno(newest.length)).toBe(0);
    }),
  );
});

test("the lock-byte page is left out, its neighbours are not", () => {
  for (const [pageSize, lockPage] of [
    [512, 2097153],
    [65536, 16385],
  ] as const) {
    const list = new FrameList();
    for (const pgno of [lockPage + 1, lockPage, lockPage - 1]) list.add(pgno);
    const newest = list.newest(3, pageSize, lockPage + 10);
    expect([newest.length, newest.pgno(0), newest.pgno(1)]).toEqual([2, lockPage - 1, lockPage + 1]);
  }
});

test("runs of consecutive frames and the first entry from a page on are found", () => {
  const list = new FrameList();
  for (const pgno of [10, 11, 12, 50, 20, 21, 30]) list.add(pgno);
  const newest = list.newest(7, 4096, 100);
  expect([0, 1, 3, 5].map((at) => newest.runLength(at, 10))).toEqual([3, 2, 3, 1]);
  expect(newest.runLength(0, 2)).toBe(2);
  expect([1, 10, 13, 21, 51].map((pgno) => newest.firstFrom(pgno))).toEqual([0, 0, 3, 4, 7]);
});

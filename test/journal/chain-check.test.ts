import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import type { SegmentRow } from "../../src/journal/segment-catalogue.ts";
import { StateStore } from "../../src/journal/state-store.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { segmentRow, snapshotRow, stateAt } from "./segment-rows.ts";

/** Catalogues rows and gives each a file of its size, then lets `change` do its harm, and returns what the check finds. */
async function faultsOf(rows: readonly SegmentRow[], change: (journal: Journal) => void = () => undefined) {
  const directory = temporaryDirectory();
  using store = StateStore.open(join(directory, "state.db"), { mirror: "clinic", member: "lisbon" });
  const journal = new Journal(join(directory, "journal"), store.catalogue);
  store.transaction(() => {
    for (const row of rows) {
      store.addSegment(row);
      mkdirSync(dirname(journal.path(row)), { recursive: true });
      writeFileSync(journal.path(row), new Uint8Array(row.bytes));
    }
  });
  change(journal);
  return (await journal.verifyChain("orders")).map(({ fault, segment }) => [
    fault,
    Number(segment.minTxid),
    segment.epoch,
  ]);
}

const CHAIN = [snapshotRow(1), segmentRow(2, 4), segmentRow(5, 5), snapshotRow(5), segmentRow(6, 9)];

test("a chain of segments that continue a snapshot is whole", async () => {
  expect(await faultsOf(CHAIN)).toEqual([]);
});

test("a chain whose beginning was purged is whole", async () => {
  expect(await faultsOf(CHAIN.slice(2))).toEqual([]);
  expect(await faultsOf([])).toEqual([]);
});

test("a missing segment is a gap", async () => {
  expect(await faultsOf([segmentRow(2, 4), segmentRow(6, 9)])).toEqual([["gap", 6, 1]]);
  expect(await faultsOf([snapshotRow(1), segmentRow(3, 4)])).toEqual([["gap", 3, 1]]);
});

test("a snapshot bridges segments that are missing", async () => {
  expect(await faultsOf([segmentRow(2, 4), snapshotRow(8), segmentRow(9, 9)])).toEqual([]);
});

test("a merged segment may reach back over what was there, but must not end with it", async () => {
  expect(await faultsOf([segmentRow(2, 4), segmentRow(3, 6), segmentRow(7, 7)])).toEqual([]);
  expect(await faultsOf([segmentRow(2, 4), segmentRow(3, 4), segmentRow(5, 5)])).toEqual([["overlap", 3, 1]]);
});

test("a segment that begins with another state is found", async () => {
  const broken = segmentRow(5, 6, { preApplyChecksum: stateAt(99) });
  expect(await faultsOf([segmentRow(2, 4), broken, segmentRow(7, 7)])).toEqual([["checksum", 5, 1]]);
});

test("a snapshot of another state than its segment's end is found", async () => {
  const rows = [segmentRow(2, 4), snapshotRow(4, { postApplyChecksum: stateAt(99) }), segmentRow(5, 5)];
  expect(await faultsOf(rows)).toEqual([["checksum", 1, 1]]);
});

test("an epoch continues an earlier one at any of its segments, and is checked for itself", async () => {
  const first = [snapshotRow(1), segmentRow(2, 4), segmentRow(5, 9)];
  const next = { epoch: 2 };
  expect(await faultsOf([...first, segmentRow(5, 6, next), segmentRow(7, 7, next)])).toEqual([]);
  expect(await faultsOf([...first, segmentRow(10, 10, next)])).toEqual([]);
  expect(await faultsOf([...first, segmentRow(7, 8, next)])).toEqual([["gap", 7, 2]]);
  expect(await faultsOf([...first, segmentRow(5, 6, { ...next, preApplyChecksum: stateAt(99) })])).toEqual([
    ["checksum", 5, 2],
  ]);
  expect(await faultsOf([...first, segmentRow(10, 10, next), segmentRow(12, 12, next)])).toEqual([["gap", 12, 2]]);
});

test("missing and shortened files are found", async () => {
  const found = await faultsOf(CHAIN, (journal) => {
    rmSync(journal.path(segmentRow(5, 5)));
    writeFileSync(journal.path(segmentRow(6, 9)), "1234");
  });
  expect(found).toEqual([
    ["file-missing", 5, 1],
    ["file-size", 6, 1],
  ]);
});

test("a long chain is checked to its end", async () => {
  const rows = Array.from({ length: 1200 }, (_, i) => segmentRow(i + 1, i + 1));
  expect(await faultsOf(rows.toSpliced(1100, 1))).toEqual([["gap", 1102, 1]]);
});

import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { SegmentRow } from "../../src/journal/segment-catalogue.ts";
import { StateStore } from "../../src/journal/state-store.ts";
import { toTxid } from "../../src/ltx/position.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";
import { segmentRow, snapshotRow, stateAt } from "./segment-rows.ts";

function storeWith(rows: readonly SegmentRow[]): StateStore {
  const store = StateStore.open(join(temporaryDirectory(), "state.db"), { mirror: "clinic", member: "lisbon" });
  store.transaction(() => {
    for (const row of rows) store.addSegment(row);
  });
  return store;
}

const SNAPSHOT = snapshotRow(1);
const SECOND = segmentRow(2, 5);
const THIRD = segmentRow(6, 6);
const LATER = snapshotRow(6);
const NEXT_EPOCH = segmentRow(7, 9, { epoch: 2 });
const ALL = [SNAPSHOT, SECOND, THIRD, LATER, NEXT_EPOCH];

test("segments are listed by epoch and TXID, whatever order they were added in", () => {
  using store = storeWith([NEXT_EPOCH, THIRD, SNAPSHOT, LATER, SECOND, segmentRow(1, 1, { database: "billing" })]);
  expect(store.segments("orders")).toEqual(ALL);
  expect(store.segments("orders", { order: "newest" })).toEqual(ALL.toReversed());
  expect(store.segments("orders", { order: "newest", limit: 2 })).toEqual([NEXT_EPOCH, LATER]);
  expect(store.segments("orders", { epoch: 1, kind: "segment" })).toEqual([SECOND, THIRD]);
  expect(store.segments("nothing")).toEqual([]);
});

test("a list from a TXID begins with the segment that holds it", () => {
  using store = storeWith(ALL);
  const from = (txid: bigint) => store.segments("orders", { kind: "segment", fromTxid: toTxid(txid) });
  expect(from(2n)).toEqual([SECOND, THIRD, NEXT_EPOCH]);
  expect(from(5n)).toEqual([SECOND, THIRD, NEXT_EPOCH]);
  expect(from(6n)).toEqual([THIRD, NEXT_EPOCH]);
  expect(from(10n)).toEqual([]);
});

test("a list is narrowed to what holds a transaction, and to what was cut between two times", () => {
  const at = (timestampMs: number) => ({ timestampMs });
  const [early, later, last] = [segmentRow(2, 5, at(1000)), segmentRow(6, 8, at(2000)), segmentRow(9, 9, at(3000))];
  using store = storeWith([early, later, last]);
  const holding = (txid: bigint) => store.segments("orders", { fromTxid: toTxid(txid), toTxid: toTxid(txid) });
  expect([holding(1n), holding(5n), holding(6n), holding(9n), holding(10n)]).toEqual([
    [],
    [early],
    [later],
    [last],
    [],
  ]);
  expect(store.segments("orders", { sinceMs: 2000 })).toEqual([later, last]);
  expect(store.segments("orders", { untilMs: 2000 })).toEqual([early, later]);
  expect(store.segments("orders", { sinceMs: 1001, untilMs: 2999, order: "newest", limit: 5 })).toEqual([later]);
});

test("the last segment, the newest snapshot of an epoch and the totals", () => {
  using store = storeWith(ALL);
  expect(store.catalogue.last("orders")).toEqual(NEXT_EPOCH);
  expect(store.latestSnapshot("orders", 1)).toEqual(LATER);
  expect(store.latestSnapshot("orders", 2)).toBeNull();
  expect(store.segmentTotals("orders")).toEqual({ segments: 3, snapshots: 2, bytes: 25 });
  expect(store.catalogue.last("billing")).toBeNull();
  expect(store.segmentTotals("billing")).toEqual({ segments: 0, snapshots: 0, bytes: 0 });
});

test("adding a segment again changes nothing, adding another one under its name is refused", () => {
  using store = storeWith([SECOND]);
  store.addSegment({ ...SECOND, addedAtMs: 1 });
  expect(store.segments("orders")).toEqual([SECOND]);
  for (const other of [
    { ...SECOND, postApplyChecksum: stateAt(99n) },
    { ...SECOND, preApplyChecksum: stateAt(99n) },
    { ...SECOND, bytes: 6 },
  ]) {
    expect(thrownBy(() => store.addSegment(other))).toMatchObject({ code: "STATE_SEGMENT_DIFFERS" });
  }
  expect(store.segments("orders")).toEqual([SECOND]);
});

test("a removed segment is gone, and can be removed once only", () => {
  using store = storeWith([SECOND, THIRD]);
  expect(store.removeSegment(SECOND)).toBe(true);
  expect(store.removeSegment(SECOND)).toBe(false);
  expect(store.segments("orders")).toEqual([THIRD]);
});

test("TXIDs beyond 2^53 are kept exactly", () => {
  const row = segmentRow(2n ** 62n + 1n, 2n ** 63n - 1n, { postApplyChecksum: stateAt(0xffff_ffff_ffff_ffffn) });
  using store = storeWith([row]);
  expect(store.segments("orders", { fromTxid: toTxid(2n ** 63n - 1n) })).toEqual([row]);
});

test("a walk in portions of any size meets every row once, in the order of the list", () => {
  const ranges = fc.uniqueArray(
    fc.record({
      epoch: fc.integer({ min: 1, max: 3 }),
      min: fc.integer({ min: 1, max: 20 }),
      length: fc.nat(5),
      snapshot: fc.boolean(),
    }),
    {
      selector: ({ epoch, min, length, snapshot }) => `${epoch} ${snapshot} ${snapshot ? 1 : min} ${min + length}`,
      maxLength: 30,
    },
  );
  fc.assert(
    fc.property(ranges, fc.integer({ min: 1, max: 7 }), (specs, portion) => {
      using store = storeWith(
        specs.map(({ epoch, min, length, snapshot }) =>
          snapshot ? snapshotRow(min + length, { epoch }) : segmentRow(min, min + length, { epoch }),
        ),
      );
      const walked: SegmentRow[] = [];
      for (;;) {
        const rows = store.catalogue.listAfter("orders", walked.at(-1) ?? null, portion);
        walked.push(...rows);
        if (rows.length < portion) break;
      }
      expect(walked).toEqual(store.segments("orders"));
      expect(walked).toHaveLength(specs.length);
    }),
    { numRuns: 30 },
  );
});

import fc from "fast-check";
import { expect, test } from "vitest";
import type { SegmentRow } from "../../src/journal/segment-catalogue.ts";
import { NO_CHECKSUM, toTxid } from "../../src/ltx/position.ts";
import {
  type DatabaseHistory,
  type MemberNeed,
  planRetention,
  type RetentionLimits,
  type RetentionPlan,
} from "../../src/member/retention.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW_MS = 100 * DAY_MS;
const LIMITS: RetentionLimits = { nowMs: NOW_MS, retentionMs: 3 * DAY_MS, giveUpAfterMs: 14 * DAY_MS, excessBytes: 0 };

interface RowOf {
  readonly database?: string;
  readonly epoch?: number;
  readonly bytes?: number;
  /** Age in hours. */
  readonly age: number;
}

function row(
  kind: SegmentRow["kind"],
  min: number,
  max: number,
  { database = "shop", epoch = 1, ...of }: RowOf,
): SegmentRow {
  const addedAtMs = NOW_MS - of.age * HOUR_MS;
  const sums = { preApplyChecksum: NO_CHECKSUM, postApplyChecksum: NO_CHECKSUM };
  const ref = { database, epoch, kind, minTxid: toTxid(BigInt(min)), maxTxid: toTxid(BigInt(max)) };
  return { ...ref, ...sums, bytes: of.bytes ?? 10, pages: 1, timestampMs: addedAtMs, addedAtMs };
}

function segment(min: number, max: number, of: RowOf): SegmentRow {
  return row("segment", min, max, of);
}

function snapshot(max: number, of: RowOf): SegmentRow {
  return row("snapshot", 1, max, of);
}

function history(rows: readonly SegmentRow[], needs: readonly MemberNeed[], integrated?: number): DatabaseHistory {
  const segments = rows.filter(({ kind }) => kind === "segment");
  const snapshots = rows.filter(({ kind }) => kind === "snapshot");
  const last = rows.at(-1);
  const place = {
    epoch: last?.epoch ?? 1,
    txid: integrated === undefined ? (last?.maxTxid ?? toTxid(0n)) : toTxid(BigInt(integrated)),
  };
  return { database: last?.database ?? "shop", segments, complete: true, snapshots, integrated: place, needs };
}

function need(member: string, txid: number, awayDays = 0): MemberNeed {
  return { member, place: { epoch: 1, txid: toTxid(BigInt(txid)) }, seenAtMs: NOW_MS - awayDays * DAY_MS };
}

function names({ removals }: RetentionPlan): string[] {
  return removals.map(({ row: { kind, minTxid, maxTxid }, reason }) => `${reason} ${kind} ${minTxid}-${maxTxid}`);
}

/** A snapshot every four days, and segments of ten transactions a day. */
const ROWS = [
  snapshot(1, { age: 20 * 24 }),
  segment(2, 10, { age: 19 * 24 }),
  segment(11, 20, { age: 16 * 24 }),
  snapshot(20, { age: 15 * 24 }),
  segment(21, 30, { age: 12 * 24 }),
  segment(31, 40, { age: 5 * 24 }),
  snapshot(40, { age: 4 * 24 }),
  segment(41, 50, { age: 2 * 24 }),
  snapshot(50, { age: 24 }),
  segment(51, 60, { age: 1 }),
];

test("what was integrated everywhere goes once no instant within the retention is restored from it", () => {
  const plan = planRetention([history(ROWS, [need("porto", 60)])], LIMITS);
  expect(names(plan)).toEqual([
    "expired snapshot 1-1",
    "expired segment 2-10",
    "expired segment 11-20",
    "expired snapshot 1-20",
    "expired segment 21-30",
    "expired segment 31-40",
  ]);
  expect(plan).toMatchObject({ givenUp: [], shortBytes: 0 });
});

test("a longer retention keeps the snapshot before its first instant, and all after it", () => {
  const plan = planRetention([history(ROWS, [])], { ...LIMITS, retentionMs: 10 * DAY_MS });
  expect(names(plan)).toEqual(["expired snapshot 1-1", "expired segment 2-10", "expired segment 11-20"]);
});

test("what a member has not integrated stays until it has been away for too long", () => {
  const away = (days: number) => planRetention([history(ROWS, [need("porto", 60), need("faro", 30, days)])], LIMITS);
  expect(names(away(14))).not.toContain("expired segment 31-40");
  expect(away(14).givenUp).toEqual([]);
  expect(names(away(14.01))).toContain("expired segment 31-40");
  expect(away(14.01).givenUp).toEqual([{ member: "faro", database: "shop", reason: "away" }]);
});

test("a member in the middle of a segment needs it", () => {
  const plan = planRetention([history(ROWS, [need("porto", 35)])], LIMITS);
  expect(names(plan)).toContain("expired segment 21-30");
  expect(names(plan)).not.toContain("expired segment 31-40");
});

test("a member that is away and lacks nothing that goes is not given up", () => {
  expect(planRetention([history(ROWS, [need("porto", 45, 30)])], LIMITS).givenUp).toEqual([]);
});

test("a member whose next segment is gone already holds nothing back: it waits for a snapshot", () => {
  const rows = ROWS.slice(4);
  const plan = planRetention([history(rows, [need("porto", 5)])], LIMITS);
  expect(names(plan)).toEqual(["expired segment 21-30", "expired segment 31-40"]);
  expect(plan.givenUp).toEqual([]);
});

test("what this member's own copy has not integrated stays, whatever the pressure", () => {
  const plan = planRetention([history(ROWS, [], 25)], { ...LIMITS, excessBytes: 1_000 });
  expect(names(plan)).toEqual([
    "expired snapshot 1-1",
    "expired segment 2-10",
    "expired segment 11-20",
    "expired snapshot 1-20",
  ]);
  expect(plan.shortBytes).toBe(960);
});

test("under pressure history that no member needs goes first, oldest first, over all databases", () => {
  const other = [
    snapshot(1, { database: "billing", age: 45 }),
    segment(2, 9, { database: "billing", age: 30 }),
    snapshot(9, { database: "billing", age: 20 }),
  ];
  const plan = planRetention([history(ROWS, [need("faro", 40)]), history(other, [])], { ...LIMITS, excessBytes: 85 });
  expect(names(plan).slice(6)).toEqual(["space snapshot 1-40", "space snapshot 1-1", "space segment 2-9"]);
  expect(plan).toMatchObject({ givenUp: [], shortBytes: 0 });
});

test("then members are given up, the one furthest behind first, and no more of them than it takes", () => {
  const needs = [need("porto", 30), need("faro", 40), need("evora", 60)];
  const plan = planRetention([history(ROWS, needs)], { ...LIMITS, excessBytes: 65 });
  expect(names(plan).slice(-2)).toEqual(["space snapshot 1-40", "space segment 31-40"]);
  expect(plan.givenUp).toEqual([{ member: "porto", database: "shop", reason: "space" }]);
  const more = planRetention([history(ROWS, needs)], { ...LIMITS, excessBytes: 75 });
  expect(more.givenUp.map(({ member }) => member)).toEqual(["porto", "faro"]);
});

test("nobody is given up while there may be history beyond the part that was looked at", () => {
  const held = history(
    [
      snapshot(1, { database: "a", age: 90 }),
      segment(2, 9, { database: "a", age: 80 }),
      snapshot(9, { database: "a", age: 70 }),
    ],
    [need("porto", 1)],
  );
  const part = {
    ...history(ROWS, []),
    segments: ROWS.filter(({ kind }) => kind === "segment").slice(0, 2),
    complete: false,
  };
  const plan = planRetention([held, part], { ...LIMITS, excessBytes: 10_000 });
  expect(plan.givenUp).toEqual([]);
  expect(plan.shortBytes).toBeGreaterThan(0);
});

test("without a snapshot nothing goes", () => {
  const rows = ROWS.filter(({ kind }) => kind === "segment");
  expect(planRetention([history(rows, [])], { ...LIMITS, excessBytes: 1_000 })).toEqual({
    removals: [],
    givenUp: [],
    shortBytes: 1_000,
  });
});

/** A contiguous journal of random ages, with snapshots at random places, and members anywhere. */
const histories = fc
  .record({
    epochs: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 2 }),
    steps: fc.array(
      fc.record({
        txids: fc.integer({ min: 1, max: 5 }),
        hours: fc.integer({ min: 0, max: 60 }),
        bytes: fc.integer({ min: 1, max: 50 }),
        snapshot: fc.boolean(),
      }),
      { minLength: 1, maxLength: 25 },
    ),
    purged: fc.integer({ min: 0, max: 6 }),
    members: fc.array(fc.record({ at: fc.integer({ min: 0, max: 130 }), awayDays: fc.integer({ min: 0, max: 30 }) }), {
      maxLength: 4,
    }),
    own: fc.integer({ min: 0, max: 130 }),
  })
  .map(({ epochs, steps, purged, members, own }) => {
    const total = steps.reduce((sum, { hours }) => sum + hours, 0);
    let age = total;
    let txid = 1;
    const rows: SegmentRow[] = [snapshot(1, { age })];
    for (const [index, step] of steps.entries()) {
      const epoch = epochs.length > 1 && index >= (epochs[0] ?? 0) ? 2 : 1;
      age -= step.hours;
      rows.push(segment(txid + 1, txid + step.txids, { age, bytes: step.bytes, epoch }));
      txid += step.txids;
      if (step.snapshot) rows.push(snapshot(txid, { age, bytes: step.bytes * 3, epoch }));
    }
    const needs = members.map(({ at, awayDays }, index) => ({
      ...need(`member${index}`, Math.min(at, txid), awayDays),
      place: {
        epoch: rows.findLast(({ maxTxid }) => maxTxid <= BigInt(at))?.epoch ?? 1,
        txid: toTxid(BigInt(Math.min(at, txid))),
      },
    }));
    const kept = rows.slice(purged);
    const integrated = rows.findLast(({ maxTxid }) => maxTxid <= BigInt(own)) ?? rows[0];
    const place = { epoch: integrated?.epoch ?? 1, txid: integrated?.maxTxid ?? toTxid(1n) };
    return { ...history(kept, needs), integrated: place };
  });

function without(before: DatabaseHistory, { removals }: RetentionPlan): DatabaseHistory {
  const gone = new Set(removals.map(({ row: removed }) => removed));
  const kept = (rows: readonly SegmentRow[]) => rows.filter((each) => !gone.has(each));
  return { ...before, segments: kept(before.segments), snapshots: kept(before.snapshots) };
}

function isAfter(a: { epoch: number; txid: bigint }, each: SegmentRow): boolean {
  return each.epoch > a.epoch || (each.epoch === a.epoch && each.maxTxid > a.txid);
}

/** The segments that a member at `place` goes on with; null when it cannot. */
function wayFrom(place: { epoch: number; txid: bigint }, segments: readonly SegmentRow[]): SegmentRow[] | null {
  const way = segments.filter((each) => isAfter(place, each));
  return (way[0]?.minTxid ?? 0n) <= place.txid + 1n ? way : null;
}

/** The snapshot and the segments that an instant is restored from; null when it cannot be. */
function restoreOf(atMs: number, { snapshots, segments }: DatabaseHistory): SegmentRow[] | null {
  const base = snapshots.findLast(({ addedAtMs }) => addedAtMs <= atMs);
  const way = base === undefined ? null : wayFrom({ epoch: base.epoch, txid: base.maxTxid }, segments);
  return way === null || base === undefined ? null : [base, ...way.filter(({ addedAtMs }) => addedAtMs <= atMs)];
}

const RUNS = { numRuns: 2_000 };

test("without pressure: members that are not away go on, every instant within the retention stays, and nothing younger goes", () => {
  fc.assert(
    fc.property(histories, (before) => {
      const plan = planRetention([before], LIMITS);
      const after = without(before, plan);
      for (const { place, seenAtMs } of before.needs) {
        if (NOW_MS - seenAtMs > LIMITS.giveUpAfterMs) continue;
        const way = wayFrom(place, before.segments);
        if (way !== null) expect(wayFrom(place, after.segments)).toEqual(way);
      }
      for (let atMs = NOW_MS - LIMITS.retentionMs; atMs <= NOW_MS; atMs += 6 * HOUR_MS) {
        expect(restoreOf(atMs, after)).toEqual(restoreOf(atMs, before));
      }
      for (const { row: gone, reason } of plan.removals) {
        expect(reason).toBe("expired");
        expect(NOW_MS - gone.addedAtMs).toBeGreaterThanOrEqual(LIMITS.retentionMs);
      }
      expect(planRetention([after], LIMITS).removals).toEqual([]);
    }),
    RUNS,
  );
});

test("under any pressure: the newest snapshot, all after it, and what the own copy lacks stay", () => {
  fc.assert(
    fc.property(histories, fc.integer({ min: 0, max: 3_000 }), (before, excessBytes) => {
      const plan = planRetention([before], { ...LIMITS, excessBytes });
      const newest = before.snapshots.at(-1);
      const own = before.integrated ?? { epoch: 0, txid: 0n };
      for (const { row: gone } of plan.removals) {
        expect(gone).not.toBe(newest);
        expect(newest !== undefined && isAfter({ epoch: newest.epoch, txid: newest.maxTxid }, gone)).toBe(false);
        expect(isAfter(own, gone)).toBe(false);
      }
      // What stays of the segments is the end of what there was.
      const { segments } = without(before, plan);
      expect(segments).toEqual(before.segments.slice(before.segments.length - segments.length));
    }),
    RUNS,
  );
});

test("under pressure: no more goes than asked for, less only when nothing else may go, and who loses something is named", () => {
  fc.assert(
    fc.property(histories, fc.integer({ min: 1, max: 3_000 }), (before, excessBytes) => {
      const limits = { ...LIMITS, excessBytes };
      const plan = planRetention([before], limits);
      const after = without(before, plan);
      const freed = plan.removals.reduce((sum, { row: { bytes } }) => sum + bytes, 0);
      expect(plan.shortBytes).toBe(Math.max(0, excessBytes - freed));
      const last = plan.removals.at(-1);
      if (last?.reason === "space") expect(freed - last.row.bytes).toBeLessThan(excessBytes);
      if (plan.shortBytes > 0) expect(planRetention([after], limits).removals).toEqual([]);
      const losers = before.needs.filter(({ place }) => {
        const way = wayFrom(place, before.segments);
        return way !== null && wayFrom(place, after.segments)?.length !== way.length;
      });
      expect(plan.givenUp.map(({ member }) => member).sort()).toEqual(losers.map(({ member }) => member).sort());
    }),
    RUNS,
  );
});

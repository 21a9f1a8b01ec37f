/** Ways to a state, in catalogues without files. */
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { planRestore, type RestoreSources } from "../../src/backup/restore-plan.ts";
import type { RestoreTarget } from "../../src/backup/restore-target.ts";
import type { SegmentRow } from "../../src/journal/segment-catalogue.ts";
import { StateStore } from "../../src/journal/state-store.ts";
import { formatChecksum, formatTxid, NO_CHECKSUM, toChecksum, toTxid } from "../../src/ltx/position.ts";
import { segmentRow, snapshotRow, stateAt } from "../journal/segment-rows.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

type Backup = RestoreSources["backups"][number];

function sourcesOf(rows: readonly SegmentRow[], backups: readonly Backup[] = []): RestoreSources {
  const store = StateStore.open(join(temporaryDirectory(), "state.db"), { mirror: "shop", member: "porto" });
  onTestFinished(() => store.close());
  store.transaction(() => rows.forEach((row) => void store.addSegment(row)));
  return { database: "orders", catalogue: store.catalogue, backups, from: "any" };
}

/** A backup of `orders` at a TXID, of so many bytes; without a position when the TXID is null. */
function backupAt(txid: number | null, bytes: number, epoch = 1): Backup {
  const position = txid === null ? null : { epoch, txid: formatTxid(toTxid(BigInt(txid))) };
  const checksum = formatChecksum(stateAt(txid ?? 999));
  const sidecar: Backup["sidecar"] = {
    version: 1,
    file: "f.db",
    mirror: "shop",
    member: "porto",
    database: "orders",
    role: "mirror",
    position,
    checksum,
    time: txid === null ? null : new Date(timeAt(txid)).toISOString(),
    takenAt: "2026-01-01T00:00:00.000Z",
    bytes,
    pageSize: 4096,
    pageCount: 1,
    sha256: "0".repeat(64),
    check: { passed: "quick_check", reason: null },
    afterimage: "0",
    sqlite: "3",
  };
  return { path: `/b/${txid}`, database: "orders", member: "porto", takenAtMs: 0, sidecar, fault: null };
}

function timeAt(txid: number): number {
  return 1_700_000_000_000 + txid * 1000;
}

function at(txid: number, epoch: number | null = null): RestoreTarget {
  return { kind: "txid", txid: toTxid(BigInt(txid)), epoch };
}

/** A row cut at the time of its last TXID. */
function cut(min: number, max: number, changes: Partial<SegmentRow> = {}): SegmentRow {
  return segmentRow(min, max, { timestampMs: timeAt(max), ...changes });
}

function snapshot(max: number, changes: Partial<SegmentRow> = {}): SegmentRow {
  return snapshotRow(max, { timestampMs: timeAt(max), ...changes });
}

/** A plan in short: its base, then the ranges that follow. */
function way(sources: RestoreSources, target: RestoreTarget): string {
  const { base, segments } = planRestore(sources, target);
  const first = base.kind === "backup" ? `backup ${base.path}` : `snapshot ${base.row.epoch}:${base.row.maxTxid}`;
  return [first, ...segments.map(({ epoch, minTxid, maxTxid }) => `${epoch}:${minTxid}-${maxTxid}`)].join(" ");
}

test("a state is the newest base before it and the segments from there", () => {
  const sources = sourcesOf([snapshot(1), cut(2, 3), cut(4, 4), snapshot(4), cut(5, 8), cut(9, 9)]);
  expect(way(sources, { kind: "newest" })).toBe("snapshot 1:4 1:5-8 1:9-9");
  expect(way(sources, at(4))).toBe("snapshot 1:4");
  expect(way(sources, at(3))).toBe("snapshot 1:1 1:2-3");
});

test("a transaction within a segment leads to the state before the segment, and the next state is named", () => {
  const sources = sourcesOf([snapshot(1), cut(2, 3), cut(4, 9)]);
  expect(planRestore(sources, at(7))).toMatchObject({ point: { txid: 3n }, next: { txid: 9n, timeMs: timeAt(9) } });
  expect(planRestore(sources, { kind: "time", timeMs: timeAt(9) - 1 })).toMatchObject({ point: { txid: 3n } });
  expect(planRestore(sources, { kind: "time", timeMs: timeAt(9) })).toMatchObject({ point: { txid: 9n }, next: null });
});

test("the way with the fewest bytes is taken", () => {
  const rows = [
    snapshot(1, { bytes: 100 }),
    cut(2, 2, { bytes: 30 }),
    cut(3, 3, { bytes: 30 }),
    cut(4, 4, { bytes: 30 }),
  ];
  expect(way(sourcesOf(rows, [backupAt(3, 120)]), at(4))).toBe("backup /b/3 1:4-4");
  expect(way(sourcesOf(rows, [backupAt(3, 161)]), at(4))).toBe("snapshot 1:1 1:2-2 1:3-3 1:4-4");
  expect(way(sourcesOf(rows, [backupAt(4, 500), backupAt(3, 110)]), at(4))).toBe("backup /b/3 1:4-4");
});

test("the base can be limited to the journal or to one backup", () => {
  const sources = sourcesOf([snapshot(1, { bytes: 10 }), cut(2, 2), cut(3, 3)], [backupAt(2, 1)]);
  expect(way({ ...sources, from: "journal" }, at(3))).toBe("snapshot 1:1 1:2-2 1:3-3");
  expect(way({ ...sources, from: "backup", backups: [backupAt(2, 1000)] }, at(3))).toBe("backup /b/2 1:3-3");
});

test("merged segments that overlap with others are used where the others do not lead further", () => {
  const merged = cut(4, 8, { preApplyChecksum: stateAt(3) });
  const sources = sourcesOf([snapshot(1), cut(2, 3), cut(4, 5), merged, cut(9, 9)]);
  expect(way(sources, at(9))).toBe("snapshot 1:1 1:2-3 1:4-8 1:9-9");
  expect(way(sources, at(5))).toBe("snapshot 1:1 1:2-3 1:4-5");
});

test("a backup that lies within a merged segment is a base for it", () => {
  const sources = sourcesOf([snapshot(1, { bytes: 1000 }), cut(2, 9)], [backupAt(5, 10)]);
  expect(way(sources, at(9))).toBe("backup /b/5 1:2-9");
});

test("a later epoch continues where its first segment says, and what the older one has beyond that is left out", () => {
  const forked = toChecksum(stateAt(0) + 0xf00n);
  const later = cut(4, 5, {
    epoch: 2,
    preApplyChecksum: stateAt(3),
    postApplyChecksum: forked,
    timestampMs: timeAt(50),
  });
  const sources = sourcesOf([snapshot(1), cut(2, 3), cut(4, 4), cut(5, 6), later]);
  expect(way(sources, { kind: "newest" })).toBe("snapshot 1:1 1:2-3 2:4-5");
  expect(way(sources, at(5))).toBe("snapshot 1:1 1:2-3 2:4-5");
  expect(way(sources, at(4))).toBe("snapshot 1:1 1:2-3");
  expect(way(sources, { kind: "time", timeMs: timeAt(6) })).toBe("snapshot 1:1 1:2-3");
  expect(way(sources, at(6, 1))).toBe("snapshot 1:1 1:2-3 1:4-4 1:5-6");
  expect(() => planRestore(sources, at(6))).toThrow(expect.objectContaining({ code: "RESTORE_TOO_NEW" }));
});

test("segments that do not follow the state before them are not used", () => {
  const stranger = cut(4, 5, { preApplyChecksum: stateAt(77) });
  const sources = sourcesOf([snapshot(1), cut(2, 3), stranger]);
  expect(() => planRestore(sources, { kind: "newest" })).toThrow(expect.objectContaining({ code: "RESTORE_GAP" }));
});

test("journals without checksums are followed by their numbers", () => {
  const none = { preApplyChecksum: NO_CHECKSUM, postApplyChecksum: NO_CHECKSUM };
  const sources = sourcesOf([snapshot(1, none), cut(2, 3, none), cut(4, 4, none)]);
  expect(way(sources, { kind: "newest" })).toBe("snapshot 1:1 1:2-3 1:4-4");
});

test.each<[string, RestoreTarget, string]>([
  ["a transaction after the newest", at(10), "RESTORE_TOO_NEW"],
  ["a time after the newest", { kind: "time", timeMs: timeAt(10) }, "RESTORE_TOO_NEW"],
  ["a transaction before the oldest snapshot", at(3), "RESTORE_TOO_OLD"],
  ["a time before the oldest segment", { kind: "time", timeMs: timeAt(1) }, "RESTORE_TOO_OLD"],
  ["a state behind a missing segment", at(9), "RESTORE_GAP"],
])("%s is refused", (_, target, code) => {
  const sources = sourcesOf([cut(3, 3), cut(4, 4), snapshot(4), cut(5, 5), cut(8, 9)]);
  expect(() => planRestore(sources, target)).toThrow(expect.objectContaining({ code }));
});

test("what is asked for too early is answered with the oldest state that there is, a gap with the transaction that is missing", () => {
  const sources = sourcesOf([cut(3, 3), cut(4, 4), snapshot(4), cut(8, 9)]);
  expect(() => planRestore(sources, at(3))).toThrow("1:0000000000000004");
  expect(() => planRestore(sources, at(9))).toThrow("transaction 0000000000000007");
});

test("without a journal there are the backups", () => {
  const backups = [backupAt(2, 10), backupAt(5, 10)];
  const sources: RestoreSources = { database: "orders", catalogue: null, backups, from: "any" };
  expect(way(sources, { kind: "newest" })).toBe("backup /b/5");
  expect(way(sources, at(4))).toBe("backup /b/2");
  expect(() => planRestore({ ...sources, backups: [] }, at(4))).toThrow(
    expect.objectContaining({ code: "RESTORE_NOTHING" }),
  );
});

test("a backup without a position is restored as it is, and no further", () => {
  const sources: RestoreSources = { ...sourcesOf([snapshot(1)]), backups: [backupAt(null, 10)], from: "backup" };
  expect(planRestore(sources, { kind: "newest" })).toMatchObject({ point: null, segments: [] });
  expect(() => planRestore(sources, at(1))).toThrow(expect.objectContaining({ code: "RESTORE_GAP" }));
});

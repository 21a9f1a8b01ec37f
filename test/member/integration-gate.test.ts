import fc from "fast-check";
import { expect, test } from "vitest";
import { toTxid } from "../../src/ltx/position.ts";
import {
  describeHold,
  formatUntil,
  type GateFacts,
  holdOf,
  limitOf,
  parseUntil,
  type Until,
} from "../../src/member/integration-gate.ts";

const NOW_MS = Date.parse("2026-03-01T12:00:00Z");
const OPEN: GateFacts = { nowMs: NOW_MS, paused: false, until: null, delayMs: 0, window: null, failed: [] };
const HOUR_MS = 3_600_000;

function segment(txid: bigint, cutAgoMs: number, hereForMs: number) {
  return { maxTxid: toTxid(txid), timestampMs: NOW_MS - cutAgoMs, addedAtMs: NOW_MS - hereForMs };
}

test("what arrived this moment passes when nothing holds it back", () => {
  expect(holdOf(segment(5n, 0, 0), OPEN)).toBeNull();
});

test.each<[string, Partial<GateFacts>, string]>([
  ["a pause", { paused: true, delayMs: 1 }, "paused by operator: 12 transactions wait"],
  ["others that failed", { failed: ["lab", "billing"] }, "stopped because lab, billing failed: 12 transactions wait"],
  [
    "a transaction",
    { until: { kind: "txid", txid: toTxid(4n) } },
    "until transaction 0000000000000004: 12 transactions wait",
  ],
  [
    "a time",
    { until: { kind: "time", timeMs: NOW_MS - 2001 } },
    "until 2026-03-01T11:59:57.999Z: 12 transactions wait",
  ],
  ["a delay", { delayMs: 1.5 * HOUR_MS }, "delay 1h30m: 12 transactions wait"],
  [
    "a schedule",
    { window: { lastMs: NOW_MS - 1001, nextMs: NOW_MS + HOUR_MS } },
    "window: next at 2026-03-01T13:00:00.000Z: 12 transactions wait",
  ],
])("%s holds a segment back, and says so", (_, facts, words) => {
  const hold = holdOf(segment(5n, 2000, 1000), { ...OPEN, ...facts });
  expect(hold === null ? null : describeHold(hold, 12)).toBe(words);
});

test("a segment is held back up to the very moment, transaction or time", () => {
  const own = segment(5n, 2000, 1000);
  const passes = (facts: Partial<GateFacts>) => holdOf(own, { ...OPEN, ...facts }) === null;
  expect(passes({ delayMs: 1000 })).toBe(true);
  expect(passes({ delayMs: 1001 })).toBe(false);
  expect(passes({ until: { kind: "txid", txid: toTxid(5n) } })).toBe(true);
  expect(passes({ until: { kind: "time", timeMs: NOW_MS - 2000 } })).toBe(true);
  expect(passes({ window: { lastMs: NOW_MS - 1000, nextMs: NOW_MS } })).toBe(true);
  expect(passes({ window: { lastMs: Number.NEGATIVE_INFINITY, nextMs: NOW_MS } })).toBe(false);
});

test("a delay counts from this machine's receipt, whatever the other machine's clock says", () => {
  const ahead = segment(5n, -HOUR_MS, 2 * HOUR_MS);
  const behind = segment(5n, 100 * HOUR_MS, 0);
  expect(holdOf(ahead, { ...OPEN, delayMs: HOUR_MS })).toBeNull();
  expect(holdOf(behind, { ...OPEN, delayMs: HOUR_MS })).toMatchObject({ by: "delay", endsAtMs: NOW_MS + HOUR_MS });
});

const offset = fc.integer({ min: -10, max: 10 });
const untils = fc.option(
  fc.oneof(
    fc.bigInt({ min: 0n, max: 20n }).map((txid): Until => ({ kind: "txid", txid: toTxid(txid) })),
    offset.map((ms): Until => ({ kind: "time", timeMs: NOW_MS + ms })),
  ),
);
const gateFacts = fc.record({
  nowMs: fc.constant(NOW_MS),
  paused: fc.boolean(),
  until: untils,
  delayMs: fc.nat({ max: 10 }),
  window: fc.option(offset.map((ms) => ({ lastMs: NOW_MS + ms, nextMs: NOW_MS + ms + 5 }))),
  failed: fc.constantFrom<string[]>([], [], ["lab"]),
});

test("the limit of a gate is just what its holds let pass", () => {
  const property = fc.property(
    gateFacts,
    fc.bigInt({ min: 1n, max: 20n }),
    offset,
    offset,
    (facts, txid, cut, here) => {
      const own = segment(txid, cut, here);
      const limit = limitOf(facts);
      const isWithin =
        limit !== null &&
        own.maxTxid <= limit.txid &&
        own.timestampMs <= limit.timeMs &&
        own.addedAtMs <= limit.addedAtMs;
      expect(holdOf(own, facts) === null).toBe(isWithin);
    },
  );
  fc.assert(property, { numRuns: 2000 });
});

test("where integration stops is read as it is written; what is neither is null", () => {
  for (const text of ["000000000000002a", "2026-03-01T12:00:00.000Z"]) {
    const until = parseUntil(text);
    expect(until === null ? null : formatUntil(until)).toBe(text);
  }
  expect(parseUntil("yesterday")).toBeNull();
});

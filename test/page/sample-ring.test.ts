import { expect, test } from "vitest";
import { SAMPLE_INTERVAL_MS, SampleRing } from "../../src/page/sample-ring.ts";

const HOUR_MS = 3_600_000;
const START_MS = Date.parse("2026-03-01T00:00:00Z");

function sampled(count: number, valueAt: (i: number) => number | null): { ring: SampleRing; nowMs: number } {
  const ring = new SampleRing();
  for (let i = 0; i < count; i++) ring.add(START_MS + i * SAMPLE_INTERVAL_MS, new Map([["a", valueAt(i)]]));
  return { ring, nowMs: START_MS + (count - 1) * SAMPLE_INTERVAL_MS };
}

test("an hour has each sample, the newest last, and nothing before the first", () => {
  const { ring, nowMs } = sampled(3, (i) => i + 1);
  const { startMs, stepMs, points, series } = ring.window(HOUR_MS, nowMs);
  expect([stepMs, points, startMs]).toEqual([SAMPLE_INTERVAL_MS, 360, nowMs - 359 * SAMPLE_INTERVAL_MS]);
  const values = series("a", "most");
  expect(values.slice(-4)).toEqual([null, 1, 2, 3]);
  expect(values.filter((value) => value !== null)).toHaveLength(3);
  expect(series("other", "most").every((value) => value === null)).toBe(true);
});

test("six hours are as many points, of lags the worst, of rates the mean", () => {
  const { ring, nowMs } = sampled(2_160, (i) => i % 6);
  const { stepMs, points, series } = ring.window(6 * HOUR_MS, nowMs);
  expect([stepMs, points]).toEqual([60_000, 360]);
  expect(new Set(series("a", "most").slice(1))).toEqual(new Set([5]));
  expect(new Set(series("a", "mean").slice(1))).toEqual(new Set([2.5]));
});

test("a long run keeps six hours, and what it keeps no longer is not shown as something newer", () => {
  const { ring, nowMs } = sampled(10_000, (i) => i);
  const values = ring.window(6 * HOUR_MS, nowMs).series("a", "most");
  expect(values.every((value) => value !== null && value >= 7_830)).toBe(true);
  const later = ring.window(HOUR_MS, nowMs + 2 * HOUR_MS).series("a", "most");
  expect(later.every((value) => value === null)).toBe(true);
});

test("what was not known at a time, and a series that comes later or ends, is a gap", () => {
  const { ring, nowMs } = sampled(2, (i) => (i === 0 ? null : 7));
  ring.add(nowMs + SAMPLE_INTERVAL_MS, new Map([["b", 1]]));
  const { series } = ring.window(HOUR_MS, nowMs + SAMPLE_INTERVAL_MS);
  expect(series("a", "most").slice(-3)).toEqual([null, 7, null]);
  expect(series("b", "most").slice(-3)).toEqual([null, null, 1]);
});

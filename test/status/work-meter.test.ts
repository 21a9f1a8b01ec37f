import fc from "fast-check";
import { expect, test } from "vitest";
import { formatBytes, formatSeconds, WorkMeter } from "../../src/status/work-meter.ts";

test("the rate is that of the last half minute, and the time left follows from it", () => {
  const meter = new WorkMeter();
  expect(meter.rate(100)).toEqual({ percent: 0, perSecond: null, secondsLeft: null });
  // Slow for a minute, then ten times as fast.
  for (let second = 0; second <= 60; second++) meter.add(second * 1000, second);
  expect(meter.rate(1000)).toEqual({ percent: 6, perSecond: 1, secondsLeft: 940 });
  for (let second = 61; second <= 100; second++) meter.add(second * 1000, 60 + 10 * (second - 60));
  expect(meter.rate(1000)).toEqual({ percent: 46, perSecond: 10, secondsLeft: 54 });
});

test("what is not known is not guessed: without a total, and while nothing moves", () => {
  const meter = new WorkMeter();
  meter.add(0, 5);
  meter.add(10_000, 5);
  expect(meter.rate(null)).toEqual({ percent: null, perSecond: 0, secondsLeft: null });
  expect(meter.rate(10)).toEqual({ percent: 50, perSecond: 0, secondsLeft: null });
  meter.add(20_000, 25);
  expect(meter.rate(null)).toEqual({ percent: null, perSecond: 1, secondsLeft: null });
});

test("work that is begun again has no rate from before", () => {
  const meter = new WorkMeter();
  meter.add(0, 0);
  meter.add(10_000, 1000);
  meter.add(11_000, 10);
  expect(meter.rate(1000)).toEqual({ percent: 1, perSecond: null, secondsLeft: null });
});

test("whatever is told, the share is within bounds and the rest is not negative", () => {
  const told = fc.array(fc.tuple(fc.nat(5000), fc.nat(2000)), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(told, fc.nat(1000), (steps, total) => {
      const meter = new WorkMeter();
      let atMs = 0;
      for (const [waitMs, done] of steps) {
        atMs += waitMs;
        meter.add(atMs, done);
        const { percent, perSecond, secondsLeft } = meter.rate(total);
        expect(percent === null || (percent >= 0 && percent <= 100)).toBe(true);
        expect(perSecond === null || perSecond >= 0).toBe(true);
        expect(secondsLeft === null || secondsLeft >= 0).toBe(true);
      }
    }),
  );
});

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1.5 * 2 ** 30, "1.5 GiB"],
  [2 ** 52, "4096.0 TiB"],
])("%d bytes are written %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [0.2, "1 s"],
  [99, "99 s"],
  [100, "2 min"],
  [7200, "2.0 h"],
])("%d seconds are written %s", (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});

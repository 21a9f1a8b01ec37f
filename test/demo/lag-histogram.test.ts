import fc from "fast-check";
import { expect, test } from "vitest";
import { LagHistogram } from "../../src/demo/lag-histogram.ts";

test("percentiles are those of the sorted list of lags", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 300 }), (lags) => {
      const histogram = new LagHistogram();
      for (const lag of lags) histogram.add(lag);
      const sorted = lags.toSorted((a, b) => a - b);
      const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1];
      expect(histogram.percentiles()).toEqual({ p50: at(0.5), p99: at(0.99) });
    }),
  );
});

test("an empty or cleared histogram has no percentiles", () => {
  const histogram = new LagHistogram();
  expect(histogram.percentiles()).toBeNull();
  histogram.add(3);
  histogram.clear();
  expect(histogram.percentiles()).toBeNull();
});

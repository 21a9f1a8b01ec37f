import { expect, test } from "vitest";
import { parseDuration, parseSize } from "../../src/config/quantities.ts";

test.each([
  ["0s", 0],
  ["50ms", 50],
  ["2s", 2_000],
  ["15m", 900_000],
  ["1h30m", 5_400_000],
  ["0.5h", 1_800_000],
  ["14d", 1_209_600_000],
  ["2w", 1_209_600_000],
])("%s is a duration", (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
});

test.each(["", "5", "s", "-1s", "1 s", "1y", "1h x", "1e3s", `${"9".repeat(20)}d`])("%j is no duration", (text) => {
  expect(parseDuration(text)).toBeNull();
});

test.each([
  ["4096", 4_096],
  ["64MiB", 67_108_864],
  ["1.5 GB", 1_500_000_000],
  ["10kB", 10_000],
  ["1TiB", 1_099_511_627_776],
])("%s is a size", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(["", "MiB", "-1", "1mib", "1 toString", "1e3", `${"9".repeat(20)}GB`])("%j is no size", (text) => {
  expect(parseSize(text)).toBeNull();
});

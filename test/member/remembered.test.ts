import { expect, test } from "vitest";
import { Remembered } from "../../src/member/remembered.ts";

test.each([
  { costMs: 1, keptMs: 200 },
  { costMs: 40, keptMs: 800 },
])("a value that costs $costMs ms is kept for $keptMs ms", ({ costMs, keptMs }) => {
  let [nowMs, made] = [0, 0];
  const remembered = new Remembered(
    200,
    () => {
      nowMs += costMs;
      return ++made;
    },
    () => nowMs,
  );
  expect(remembered.value()).toBe(1);
  nowMs += keptMs - 1;
  expect(remembered.value()).toBe(1);
  nowMs += 1;
  expect(remembered.value()).toBe(2);
});

test("what could not be made is tried again at once", () => {
  let isBroken = true;
  const remembered = new Remembered(200, () => {
    if (isBroken) throw new Error("not now");
    return "value";
  });
  expect(() => remembered.value()).toThrow("not now");
  isBroken = false;
  expect(remembered.value()).toBe("value");
});

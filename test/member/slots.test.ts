import { expect, test } from "vitest";
import { Slots } from "../../src/member/slots.ts";

test("so many jobs run at a time, in the order in which they came, also past one that fails", async () => {
  const slots = new Slots(2);
  const gates = Array.from({ length: 6 }, () => Promise.withResolvers<void>());
  const began: number[] = [];
  const runs = gates.map(({ promise }, i) =>
    slots.run(async () => {
      began.push(i);
      await promise;
      if (i === 1) throw new Error("it failed");
      return i;
    }),
  );
  const results = Promise.allSettled(runs);
  expect(began).toEqual([0, 1]);
  for (const [i, gate] of gates.entries()) {
    gate.resolve();
    await runs[i]?.catch(() => undefined);
    await Promise.resolve();
    expect(began).toEqual([0, 1, 2, 3, 4, 5].slice(0, i + 3));
  }
  expect((await results).map(({ status }) => status === "fulfilled")).toEqual([true, false, true, true, true, true]);
});

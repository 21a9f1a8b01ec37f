import fc from "fast-check";
import { expect, test } from "vitest";
import { toTxid } from "../../src/ltx/position.ts";
import { ShipmentProgress } from "../../src/member/shipment-progress.ts";
import { ShipmentsUnderWay } from "../../src/member/shipments-under-way.ts";

const file = (bytes: number) => ({ database: "shop", bytes });

test("in whatever order files end, they count in the order in which they were begun, and none after a failure", async () => {
  const outcomes = fc.array(fc.record({ fails: fc.boolean(), endsAs: fc.nat(100) }), { maxLength: 16 });
  await fc.assert(
    fc.asyncProperty(outcomes, async (files) => {
      const underWay = new ShipmentsUnderWay(() => {});
      const counted: number[] = [];
      const ends = files.map(({ fails, endsAs }, index) => {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        underWay.begin(
          file(1),
          () => promise,
          () => counted.push(index),
        );
        return { endsAs, end: () => (fails ? reject(new Error(`file ${index}`)) : resolve()) };
      });
      for (const { end } of ends.toSorted((a, b) => a.endsAs - b.endsAs)) {
        end();
        await Promise.resolve();
      }
      const firstFailed = files.findIndex(({ fails }) => fails);
      if (firstFailed < 0) await underWay.drained();
      else await expect(underWay.drained()).rejects.toThrow(`file ${firstFailed}`);
      const expected = files.map((_, index) => index).slice(0, firstFailed < 0 ? files.length : firstFailed);
      expect(counted).toEqual(expected);
      expect(underWay.isEmpty).toBe(true);
    }),
  );
});

test("after a failure it can be used again", async () => {
  const underWay = new ShipmentsUnderWay(() => {});
  underWay.begin(file(1), () => Promise.reject(new Error("no room")));
  await expect(underWay.drained()).rejects.toThrow("no room");
  expect(() => underWay.assertSound()).toThrow("no room");
  await underWay.forget();
  underWay.assertSound();
  expect(underWay.isProven).toBe(false);
  underWay.begin(file(1), async () => {});
  await underWay.drained();
  expect(underWay.isProven).toBe(true);
});

test("other work that fails is found like a file that failed", async () => {
  let ends = 0;
  const underWay = new ShipmentsUnderWay(() => ends++);
  underWay.watch(Promise.reject(new Error("no receipt")));
  await expect.poll(() => ends).toBe(1);
  expect(() => underWay.assertSound()).toThrow("no receipt");
  expect(underWay.isEmpty).toBe(true);
});

test("a large file goes by itself, small ones go together", () => {
  const underWay = new ShipmentsUnderWay(() => {});
  const never = () => new Promise<void>(() => {});
  expect(underWay.hasRoomFor(1e12)).toBe(true);
  underWay.begin(file(1000), never);
  expect(underWay.oldest?.bytes).toBe(1000);
  expect(underWay.hasRoomFor(1e9)).toBe(false);
  let begun = 1;
  for (; underWay.hasRoomFor(1000) && begun < 1000; begun++) underWay.begin(file(1000), never);
  expect(begun).toBeGreaterThan(1);
  expect(begun).toBeLessThan(100);
  expect(underWay.bytes).toBe(begun * 1000);
});

test("what is on its way when shipping begins again from an earlier place does not count", () => {
  const progress = new ShipmentProgress(toTxid(5n));
  const first = progress.begin(toTxid(6n));
  const second = progress.begin(toTxid(7n));
  expect(progress).toMatchObject({ shipped: 5n, begun: 7n });
  first();
  expect(progress).toMatchObject({ shipped: 6n, begun: 7n });
  progress.beginAgain();
  second();
  expect(progress).toMatchObject({ shipped: 6n, begun: 6n });
});

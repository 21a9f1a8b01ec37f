import fc from "fast-check";
import { expect, test } from "vitest";
import { NumberHeap } from "../../src/member/number-heap.ts";

test("whatever is put in and taken out in between, it is always the smallest that comes", () => {
  // A number is put in; null takes one out.
  const steps = fc.array(fc.option(fc.integer({ min: 0, max: 50 })), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (each) => {
      const heap = new NumberHeap();
      let model: number[] = [];
      for (const value of each) {
        if (value === null) {
          const [smallest = null, ...rest] = model;
          expect(heap.pop()).toBe(smallest);
          model = rest;
        } else {
          heap.push(value);
          model = [...model, value].sort((a, b) => a - b);
        }
      }
      expect(model.map(() => heap.pop())).toEqual(model);
      expect(heap.pop()).toBeNull();
    }),
  );
});

import { describe, expect, test } from "vitest";
import { type FanoutFigures, simulateFanout } from "./fanout-model.ts";

/** A put takes 0.01 s of the line (10,000 bytes at 1 MB/s) and less of the processor. */
const FIGURES: FanoutFigures = {
  putSeconds: 0.002,
  hopSeconds: 0.1,
  cutSeconds: 0.05,
  segmentBytes: 10_000,
  lineBytesPerSecond: 1_000_000,
  segmentsPerSecond: 2,
};

function expectResult(mirrors: number, degree: number, lagSeconds: number, load: number, depth: number): void {
  const result = simulateFanout(mirrors, degree, FIGURES);
  expect(result.lagSeconds).toBeCloseTo(lagSeconds, 9);
  expect(result.load).toBeCloseTo(load, 9);
  expect(result.depth).toBe(depth);
}

describe("the farthest member and the busiest sender of", () => {
  test("one mirror: a cut, a hop and a put", () => {
    // 0.05 + 0.1 + 0.01; 2 * 0.01
    for (const degree of [1, 2, 10]) expectResult(1, degree, 0.16, 0.02, 1);
  });

  test("a hub: the last of five is served after four others", () => {
    // 0.05 + 0.1 + 5 * 0.01; 2 * 5 * 0.01
    expectResult(5, 5, 0.2, 0.1, 1);
    expectResult(5, 50, 0.2, 0.1, 1);
  });

  test("a chain: every hop is added", () => {
    // 0.05 + 4 * (0.1 + 0.01); 2 * 0.01
    expectResult(4, 1, 0.49, 0.02, 4);
  });

  test("a tree with all places taken: the last of each level is served last", () => {
    // Two levels of degree 2 are 2 + 4 mirrors: 0.05 + 2 * (0.1 + 0.02); 2 * 2 * 0.01
    expectResult(6, 2, 0.29, 0.04, 2);
    // Degree 3, 3 + 9 mirrors: 0.05 + 2 * (0.1 + 0.03); 2 * 3 * 0.01
    expectResult(12, 3, 0.31, 0.06, 2);
  });

  test("a tree that is not full: where the last place is not taken the farthest is another", () => {
    // Of 3 mirrors of degree 2 the third follows the first, which was served first: 0.05 + (0.1 + 0.01) + (0.1 + 0.01),
    // while the second has it at 0.05 + 0.1 + 0.02.
    expectResult(3, 2, 0.27, 0.04, 2);
    // The fourth is the second follower of the first mirror: 0.05 + 0.11 + 0.12.
    expectResult(4, 2, 0.28, 0.04, 2);
  });

  test("a hub whose line is full: it falls behind for ever", () => {
    // 2 * 50 * 0.01 is all of its time, and one more is too much.
    expectResult(50, 50, 0.65, 1, 1);
    expect(simulateFanout(51, 51, FIGURES).lagSeconds).toBe(Number.POSITIVE_INFINITY);
    expect(simulateFanout(51, 51, FIGURES).load).toBeCloseTo(1.02, 9);
  });

  test("a hub whose processor is slower than its line: the processor counts", () => {
    // 0.05 + 0.1 + 3 * 0.04; 2 * 3 * 0.04
    const { lagSeconds, load } = simulateFanout(3, 3, { ...FIGURES, putSeconds: 0.04 });
    expect(lagSeconds).toBeCloseTo(0.27, 9);
    expect(load).toBeCloseTo(0.24, 9);
  });
});

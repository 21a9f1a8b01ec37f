/** The benchmarks, by name. */
import type { Benchmark } from "./benchmark.ts";
import { idle } from "./idle.ts";
import { writers } from "./writers.ts";

export const BENCHMARKS: ReadonlyMap<string, Benchmark> = new Map([
  ["idle", idle],
  ["writers", writers],
]);

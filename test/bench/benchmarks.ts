/** The benchmarks, by name. */
import type { Benchmark } from "./benchmark.ts";
import { idle } from "./idle.ts";
import { lag } from "./lag.ts";
import { writers } from "./writers.ts";

export const BENCHMARKS: ReadonlyMap<string, Benchmark> = new Map([
  ["idle", idle],
  ["lag", lag],
  ["writers", writers],
]);

/** The benchmarks, by name. */
import type { Benchmark } from "./benchmark.ts";
import { writers } from "./writers.ts";

export const BENCHMARKS: ReadonlyMap<string, Benchmark> = new Map([["writers", writers]]);

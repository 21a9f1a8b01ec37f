/** The benchmarks, by name. */
import type { Benchmark } from "./benchmark.ts";
import { catchup } from "./catchup.ts";
import { fanout } from "./fanout.ts";
import { growth } from "./growth.ts";
import { idle } from "./idle.ts";
import { lag } from "./lag.ts";
import { promote } from "./promote.ts";
import { seed } from "./seed.ts";
import { writers } from "./writers.ts";

export const BENCHMARKS: ReadonlyMap<string, Benchmark> = new Map([
  ["catchup", catchup],
  ["fanout", fanout],
  ["growth", growth],
  ["idle", idle],
  ["lag", lag],
  ["promote", promote],
  ["seed", seed],
  ["writers", writers],
]);

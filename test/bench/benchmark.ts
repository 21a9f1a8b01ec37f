/** What a benchmark is: it measures contenders in turn and gives tables, and what it could not measure. */
import type { Spread } from "./statistics.ts";

export interface BenchOptions {
  /** How often each contender is measured, in turn with the others. */
  readonly rounds: number;
  /** Of one measurement, where a benchmark measures for a time; null for what the benchmark takes by itself. */
  readonly seconds: number | null;
  /** Least sizes and few rounds: shows that the benchmark works, and nothing else. */
  readonly quick: boolean;
  /** Scenarios to run, by the start of their names; empty for all. */
  readonly only: readonly string[];
}

export type Cell = string | number | Spread | null;

export interface BenchTable {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** A figure that we mean to reach. */
export interface Target {
  readonly name: string;
  readonly measured: number;
  /** `measured` must not exceed it, or not fall below it. */
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface BenchReport {
  readonly tables: readonly BenchTable[];
  readonly targets: readonly Target[];
  /** What was left out and why, a line each: a peer that is not there. */
  readonly skipped: readonly string[];
}

export interface Benchmark {
  readonly summary: string;
  /** @param say prints a line of progress, beside the report. */
  run(options: BenchOptions, say: (line: string) => void): Promise<BenchReport>;
}

export function isMet({
  measured,
  atMost = Number.POSITIVE_INFINITY,
  atLeast = Number.NEGATIVE_INFINITY,
}: Target): boolean {
  return measured <= atMost && measured >= atLeast;
}

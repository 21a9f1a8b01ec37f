/** How a metric is defined: its name and meaning, and how its samples are found in what is known of a member. */
import type { MemberStatus } from "../status/member-status.ts";
import type { Tally } from "./tally.ts";

/** What is known of a member when its metrics are asked for. */
export interface MetricFacts {
  /** The member's own. */
  readonly status: MemberStatus;
  /** Of this program. */
  readonly version: string;
  /** Whether applications may write to all of its databases. */
  readonly isWritable: boolean;
  /** `delay` of the configuration. */
  readonly delaySeconds: number;
  /** By name, whether the heartbeats of the other members move. */
  readonly peers: ReadonlyMap<string, boolean>;
  /** By database, when this member made the newest backup, milliseconds since 1970. */
  readonly backups: ReadonlyMap<string, number>;
  readonly tally: Tally;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** Values of the labels, in the order of the definition's, and the value. */
export type Sample = readonly [labels: readonly string[], value: number];

/** Docs/METRICS.md lists them; a name, once published, keeps its meaning and unit. */
export interface MetricDefinition {
  readonly name: `afterimage_${string}`;
  readonly type: "gauge" | "counter";
  /** One sentence, with the unit. */
  readonly help: string;
  readonly labels: readonly string[];
  samples(facts: MetricFacts): Iterable<Sample>;
}

/** A metric of one value. A value that is not known is no sample, rather than a number that would mean something. */
export function single(
  name: MetricDefinition["name"],
  help: string,
  value: (facts: MetricFacts) => number | boolean | null,
): MetricDefinition {
  return {
    ...{ name, help, type: "gauge", labels: [] },
    samples: (facts) => sample([], value(facts)),
  };
}

export function sample(labels: readonly string[], value: number | boolean | null): Sample[] {
  return value === null || Number.isNaN(value) ? [] : [[labels, Number(value)]];
}

/** Seconds since an ISO time; null when there is none. Never negative: clocks are set back. */
export function ageSeconds(time: string | null, nowMs: number): number | null {
  return time === null ? null : Math.max(0, nowMs - Date.parse(time)) / 1000;
}

/** The largest of those that are known; null when none is. */
export function largest(values: Iterable<number | null>): number | null {
  const known = [...values].filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((a, b) => Math.max(a, b));
}

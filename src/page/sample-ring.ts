/**
 * Figures of the last hours, in memory: one value of each series at each sample.
 *
 * A ring of fixed size: a series costs 9 KiB however long the daemon runs. Nothing is kept over a restart.
 */

/** Between two samples. */
export const SAMPLE_INTERVAL_MS = 10_000;
/** Six hours. */
const SAMPLES_KEPT = 2_160;
/** More points than a chart has pixels help nobody. */
const MOST_POINTS = 360;

/** How the values of one point are made one: of a lag the worst counts, of a rate the mean. */
export type Condense = "most" | "mean";

export interface SampleWindow {
  /** Of the first point, milliseconds since 1970. */
  readonly startMs: number;
  readonly stepMs: number;
  readonly points: number;
  series(name: string, condense: Condense): (number | null)[];
}

export class SampleRing {
  readonly #times = new Float64Array(SAMPLES_KEPT).fill(Number.NEGATIVE_INFINITY);
  readonly #series = new Map<string, Float32Array>();
  #next = 0;

  /** @param values by series; one that is missing has no value at this time. */
  add(atMs: number, values: ReadonlyMap<string, number | null>): void {
    const slot = this.#next;
    this.#next = (slot + 1) % SAMPLES_KEPT;
    this.#times[slot] = atMs;
    for (const name of values.keys())
      if (!this.#series.has(name)) this.#series.set(name, new Float32Array(SAMPLES_KEPT).fill(Number.NaN));
    for (const [name, kept] of this.#series) kept[slot] = values.get(name) ?? Number.NaN;
  }

  /** The samples of so long up to now, in at most {@link MOST_POINTS} points. */
  window(spanMs: number, nowMs: number): SampleWindow {
    const stepMs = SAMPLE_INTERVAL_MS * Math.ceil(spanMs / SAMPLE_INTERVAL_MS / MOST_POINTS);
    const points = Math.ceil(spanMs / stepMs);
    // Steps begin at the same times in every window, or a point would change its value as it moves.
    const startMs = (Math.floor(nowMs / stepMs) - points + 1) * stepMs;
    const pointOf = Array.from(this.#times, (timeMs) => Math.floor((timeMs - startMs) / stepMs));
    return {
      ...{ startMs, stepMs, points },
      series: (name, condense) => condensed(this.#series.get(name), { pointOf, points, condense }),
    };
  }
}

function condensed(
  values: Float32Array | undefined,
  { pointOf, points, condense }: { pointOf: readonly number[]; points: number; condense: Condense },
): (number | null)[] {
  const sums = new Array<number>(points).fill(0);
  const counts = new Array<number>(points).fill(0);
  values?.forEach((value, slot) => {
    const point = pointOf[slot] ?? -1;
    if (Number.isNaN(value) || point < 0 || point >= points) return;
    const before = sums[point] ?? 0;
    sums[point] = condense === "most" ? Math.max(before, value) : before + value;
    counts[point] = (counts[point] ?? 0) + 1;
  });
  return sums.map((sum, point) => {
    const count = counts[point] ?? 0;
    return count === 0 ? null : rounded(condense === "most" ? sum : sum / count);
  });
}

/** To three digits: it is drawn, and sent every few seconds. */
function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

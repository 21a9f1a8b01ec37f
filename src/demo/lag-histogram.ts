/** Counts of lags by whole milliseconds: memory does not grow with the run, and percentiles are exact to 1 ms. */

export interface LagPercentiles {
  readonly p50: number;
  readonly p99: number;
}

export class LagHistogram {
  readonly #counts = new Map<number, number>();
  #total = 0;

  add(lagMs: number): void {
    const bucket = Math.round(lagMs);
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + 1);
    this.#total++;
  }

  clear(): void {
    this.#counts.clear();
    this.#total = 0;
  }

  /** Null when nothing has been added. */
  percentiles(): LagPercentiles | null {
    if (this.#total === 0) return null;
    const buckets = [...this.#counts].sort(([a], [b]) => a - b);
    return { p50: this.#at(buckets, 0.5), p99: this.#at(buckets, 0.99) };
  }

  #at(buckets: readonly (readonly [number, number])[], share: number): number {
    const rank = Math.max(1, Math.ceil(this.#total * share));
    let seen = 0;
    for (const [lagMs, count] of buckets) {
      seen += count;
      if (seen >= rank) return lagMs;
    }
    return 0;
  }
}

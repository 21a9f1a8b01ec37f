/** How long work gets on: its share, its rate over the last half minute, and the time that is left at that rate. */

const WINDOW_MS = 30_000;
const SPACING_MS = 1_000;
/** Before it the rate says nothing. */
const LEAST_MS = 500;

interface Sample {
  readonly atMs: number;
  readonly done: number;
}

export interface WorkRate {
  /** From 0 to 100, rounded down; null when it is not known of how much. */
  readonly percent: number | null;
  /** Null when it has just begun. */
  readonly perSecond: number | null;
  /** Null when it is not known, or nothing moves. */
  readonly secondsLeft: number | null;
}

export class WorkMeter {
  #samples: Sample[] = [];
  #last: Sample = { atMs: 0, done: 0 };

  /** @param atMs by any clock that goes on evenly. Work that is done again, from an earlier point, begins anew. */
  add(atMs: number, done: number): void {
    if (done < this.#last.done) this.#samples = [];
    this.#last = { atMs, done };
    const newest = this.#samples.at(-1);
    if (newest !== undefined && atMs - newest.atMs < SPACING_MS) return;
    this.#samples.push(this.#last);
    // One that is older than the window stays, so that the rate is over all of it.
    while ((this.#samples[1]?.atMs ?? atMs) < atMs - WINDOW_MS) this.#samples.shift();
  }

  /** @param total null when it is not known. */
  rate(total: number | null): WorkRate {
    const { atMs, done } = this.#last;
    const first = this.#samples[0] ?? this.#last;
    const seconds = (atMs - first.atMs) / 1000;
    const perSecond = seconds * 1000 < LEAST_MS ? null : (done - first.done) / seconds;
    const isMoving = perSecond !== null && perSecond > 0;
    return {
      percent: total === null || total === 0 ? null : Math.floor((100 * Math.min(done, total)) / total),
      perSecond,
      secondsLeft: isMoving && total !== null ? Math.ceil(Math.max(0, total - done) / perSecond) : null,
    };
  }
}

/** `12.5 MiB`, `3 B`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${power === 0 ? Math.round(bytes) : (bytes / 2 ** (10 * power)).toFixed(1)} ${units[power]}`;
}

/** `45 s`, `12 min`, `3.5 h`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`;
  return seconds < 6000 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** So many times as long as it takes to make is a value kept: making it never takes more than a twentieth of the time. */
const KEPT_FOR_COST = 20;

/** A value that is made anew when it is asked for after a while, so that asking often costs no more than asking now and then. */
export class Remembered<T> {
  readonly #freshMs: number;
  readonly #make: () => T;
  readonly #clockMs: () => number;
  #kept: { readonly value: T; readonly untilMs: number } | null = null;

  /**
   * @param freshMs a value is kept for at least so long.
   * @param clockMs milliseconds that only grow, from any start.
   */
  constructor(freshMs: number, make: () => T, clockMs = () => performance.now()) {
    this.#freshMs = freshMs;
    this.#make = make;
    this.#clockMs = clockMs;
  }

  value(): T {
    const beganMs = this.#clockMs();
    if (this.#kept !== null && beganMs < this.#kept.untilMs) return this.#kept.value;
    const value = this.#make();
    const nowMs = this.#clockMs();
    this.#kept = { value, untilMs: nowMs + Math.max(this.#freshMs, KEPT_FOR_COST * (nowMs - beganMs)) };
    return value;
  }
}

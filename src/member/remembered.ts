/** A value that is made anew when it is asked for after a while, so that asking often costs no more than asking now and then. */
export class Remembered<T> {
  readonly #freshMs: number;
  readonly #make: () => T;
  #kept: { readonly value: T; readonly atMs: number } | null = null;

  constructor(freshMs: number, make: () => T) {
    this.#freshMs = freshMs;
    this.#make = make;
  }

  value(): T {
    const nowMs = performance.now();
    if (this.#kept === null || nowMs - this.#kept.atMs >= this.#freshMs)
      this.#kept = { value: this.#make(), atMs: nowMs };
    return this.#kept.value;
  }
}

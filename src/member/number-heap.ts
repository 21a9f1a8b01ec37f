/** Numbers of which always the smallest is taken (a binary heap). */
export class NumberHeap {
  readonly #values: number[] = [];

  push(value: number): void {
    const values = this.#values;
    let at = values.length;
    for (let above = (at - 1) >> 1; at > 0 && (values[above] as number) > value; above = (at - 1) >> 1) {
      values[at] = values[above] as number;
      at = above;
    }
    values[at] = value;
  }

  /** The smallest, which is taken out; null when there is none. */
  pop(): number | null {
    const values = this.#values;
    const [smallest = null] = values;
    const last = values.pop();
    if (last === undefined || values.length === 0) return smallest;
    let at = 0;
    for (let below = 1; below < values.length; below = 2 * at + 1) {
      if (below + 1 < values.length && (values[below + 1] as number) < (values[below] as number)) below++;
      if ((values[below] as number) >= last) break;
      values[at] = values[below] as number;
      at = below;
    }
    values[at] = last;
    return smallest;
  }
}

/** Runs asynchronous jobs one after the other: a database is rotated, checkpointed or integrated by one job at a time. */
export class Serial {
  #tail: Promise<unknown> = Promise.resolve();

  /** Runs `job` after all that were given before it, whether those failed or not. */
  run<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(job, job);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  /** Resolves when nothing is running or waiting. */
  async idle(): Promise<void> {
    await this.#tail;
  }
}

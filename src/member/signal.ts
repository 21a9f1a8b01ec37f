/** A flag that one loop waits for and others set; setting it twice before the wait is the same as once. */
export class Signal {
  #set = false;
  #wake: (() => void) | null = null;

  set(): void {
    this.#set = true;
    this.#wake?.();
  }

  /** Resolves when the flag is set (and clears it), after `timeoutMs`, or when `stop` is aborted. Returns whether it was set. */
  async wait(timeoutMs: number, stop: AbortSignal): Promise<boolean> {
    if (!this.#set && !stop.aborted) {
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          stop.removeEventListener("abort", done);
          this.#wake = null;
          resolve();
        };
        const timer = setTimeout(done, timeoutMs);
        stop.addEventListener("abort", done, { once: true });
        this.#wake = done;
      });
    }
    const wasSet = this.#set;
    this.#set = false;
    return wasSet;
  }
}

/** Waiting for a condition, bounded by the time without progress rather than by the whole time. */

const POLL_MS = 20;

interface WaitOptions {
  /** What is waited for, for the error: "porto is at lisbon's position". */
  readonly what: string;
  /** Gives up after so long without a change of `progress`. */
  readonly stalledAfterMs: number;
  /** Something that changes as long as there is hope; without it the whole wait is bounded by `stalledAfterMs`. */
  readonly progress?: () => string;
  readonly signal?: AbortSignal;
}

export class StalledError extends Error {
  override readonly name = "StalledError";
}

/**
 * Asks `condition` every {@link POLL_MS} until it gives something else than null or false, and returns that.
 * @throws StalledError when nothing moves any more; the signal's reason when it is aborted.
 */
export async function waitUntil<T>(
  condition: () => T | null | false | Promise<T | null | false>,
  options: WaitOptions,
): Promise<T> {
  let last = options.progress?.() ?? "";
  let movedMs = performance.now();
  for (;;) {
    options.signal?.throwIfAborted();
    const value = await condition();
    if (value !== null && value !== false) return value;
    const now = options.progress?.() ?? "";
    if (now !== last) {
      last = now;
      movedMs = performance.now();
    }
    if (performance.now() - movedMs > options.stalledAfterMs) {
      const state = now === "" ? "" : ` (${now})`;
      throw new StalledError(`gave up after ${options.stalledAfterMs / 1000} s: ${options.what}${state}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** A limit on bytes a second: a bucket that fills at this rate and holds a second's worth. */
import { setTimeout as delay } from "node:timers/promises";

export interface Bandwidth {
  /** Resolves when `bytes` more may be sent. `signal` ends the wait with its reason. */
  take(bytes: number, signal?: AbortSignal): Promise<void>;
}

export const UNLIMITED: Bandwidth = { take: async () => {} };

export class TokenBucket implements Bandwidth {
  readonly #bytesPerSecond: number;
  readonly #nowMs: () => number;
  readonly #sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  #available: number;
  #filledAtMs: number;

  constructor(
    bytesPerSecond: number,
    nowMs: () => number = () => performance.now(),
    sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void> = pause,
  ) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#nowMs = nowMs;
    this.#sleep = sleep;
    this.#available = bytesPerSecond;
    this.#filledAtMs = nowMs();
  }

  /** The bucket may go below zero, so that a chunk larger than it passes too; whoever comes next waits for the debt. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    const nowMs = this.#nowMs();
    const filled = ((nowMs - this.#filledAtMs) / 1000) * this.#bytesPerSecond;
    this.#available = Math.min(this.#bytesPerSecond, this.#available + filled) - bytes;
    this.#filledAtMs = nowMs;
    if (this.#available < 0) await this.#sleep((-this.#available / this.#bytesPerSecond) * 1000, signal);
  }
}

async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(milliseconds, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

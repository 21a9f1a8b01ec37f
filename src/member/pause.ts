import { setTimeout as delay } from "node:timers/promises";

/** Resolves after `milliseconds`, or as soon as `stop` is aborted. */
export async function pause(milliseconds: number, stop: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal: stop }).catch(() => undefined);
}

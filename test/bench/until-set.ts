import type { DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";

const STALLED_AFTER_MS = 120_000;

/**
 * Waits for a condition of a set as long as `progress` changes; fails with a daemon's last words when one has ended.
 * @param progress of the mirrors' one database when not given.
 */
export async function untilSet(
  set: DemoSet,
  what: string,
  condition: () => boolean,
  progress = () => set.progress(),
): Promise<void> {
  const check = () => {
    const [fallen] = set.fallenDaemons();
    if (fallen !== undefined) throw new Error(`${fallen.name} ended: ${fallen.logTail()}`);
    return condition();
  };
  await waitUntil(check, { what, stalledAfterMs: STALLED_AFTER_MS, progress });
}

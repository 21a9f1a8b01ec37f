import type { MirrorDuty } from "./mirror-duty.ts";

/** Runs `work` while nothing is taken in and nothing integrated by any of them. */
export async function holdingAll<T>(duties: readonly MirrorDuty[], work: () => Promise<T>): Promise<T> {
  const [first, ...rest] = duties;
  return first === undefined ? await work() : await first.exclusively(() => holdingAll(rest, work));
}

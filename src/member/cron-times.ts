/** When a cron expression is due. node-cron answers for the time after now only. */
import { createTask, type ScheduledTask } from "node-cron";

/** @param timeZone IANA name; null for the machine's. */
export function cronTimes(expression: string, timeZone: string | null): ScheduledTask {
  return createTask(expression, () => undefined, timeZone === null ? {} : { timezone: timeZone });
}

/** The first time after now, milliseconds since 1970. */
export function nextTimeMs(times: ScheduledTask): number {
  return times.getNextRuns(1)[0]?.getTime() ?? Number.POSITIVE_INFINITY;
}

const RUNS_LOOKED_AT = 10;

/** The longest time between two of the next times; 0 when it is due once more at most. */
export async function longestGapMs(expression: string, timeZone: string | null): Promise<number> {
  const times = cronTimes(expression, timeZone);
  const next = times.getNextRuns(RUNS_LOOKED_AT).map((time) => time.getTime());
  await times.destroy();
  return next.reduce((most, time, i) => Math.max(most, time - (next[i - 1] ?? time)), 0);
}

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

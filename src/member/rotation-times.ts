/** When rotations by a schedule were due, whether anybody carried them out or not. */
import type { ScheduledTask } from "node-cron";
import type { Schedule } from "../config/configuration.ts";
import { cronTimes, nextTimeMs } from "./cron-times.ts";

interface Times {
  readonly of: string;
  readonly task: ScheduledTask;
  lastMs: number;
  nextMs: number;
}

export class RotationTimes {
  #times: Times | null = null;

  /**
   * The last time that has come since this schedule was first asked about, milliseconds since 1970; negative infinity when
   * none has, null when rotation is continuous.
   * @param timeZone of the schedule; null for the machine's.
   */
  lastDueMs(rotate: Schedule, timeZone: string | null): number | null {
    if (rotate.kind === "continuous") return null;
    const of = `${rotate.expression} ${timeZone}`;
    if (this.#times?.of !== of) {
      const task = cronTimes(rotate.expression, timeZone);
      this.#times = { of, task, lastMs: Number.NEGATIVE_INFINITY, nextMs: nextTimeMs(task) };
    }
    const times = this.#times;
    if (Date.now() >= times.nextMs) {
      times.lastMs = times.nextMs;
      times.nextMs = nextTimeMs(times.task);
    }
    return times.lastMs;
  }
}

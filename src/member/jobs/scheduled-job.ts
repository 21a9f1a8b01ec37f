/**
 * Jobs that run at the times of a cron expression, in the configured time zone.
 *
 * Guarantee: a job never overlaps itself. A time that comes while it runs is not made up for; one that was slept through,
 * on a suspended machine or over a leap of the clock, is made up for once, however many have passed.
 * node-cron says when the next time is. The waiting is done here, because its own timer visits every time that passed:
 * after a weekend that is seconds of work, for each database.
 */
import { cronTimes, nextTimeMs } from "../cron-times.ts";
import { errorView } from "../error-view.ts";
import type { MemberContext } from "../member-context.ts";
import { pause } from "../pause.ts";

/** Timers stand still while a machine sleeps, so the wall clock is looked at again and again. */
const LONGEST_WAIT_MS = 60_000;

export interface ScheduledJob {
  /** As in the configuration: `snapshot`, `verify`. */
  readonly name: string;
  /** Null when the job is not for one database. */
  readonly database: string | null;
  /** Cron expression of 5 fields, or 6 with seconds first. */
  readonly expression: string;
  run(): Promise<void>;
}

/** Runs until `stop` is aborted and the run that was begun has ended. What a run throws becomes an event. */
export async function runScheduledJob(context: MemberContext, job: ScheduledJob, stop: AbortSignal): Promise<void> {
  const { timeZone } = context.configuration;
  const times = cronTimes(job.expression, timeZone);
  const report = new RunReport(context, job);
  try {
    for (;;) {
      await untilTime(nextTimeMs(times), stop);
      if (stop.aborted) return;
      const nextMs = nextTimeMs(times);
      const error = await job.run().then(
        () => null,
        (cause: unknown) => ({ cause }),
      );
      report.ended(error);
      if (Date.now() >= nextMs) report.overran();
    }
  } finally {
    await times.destroy();
  }
}

async function untilTime(timeMs: number, stop: AbortSignal): Promise<void> {
  // The clock is the one that node-cron reads.
  for (let leftMs = timeMs - Date.now(); leftMs > 0 && !stop.aborted; leftMs = timeMs - Date.now()) {
    await pause(Math.min(leftMs, LONGEST_WAIT_MS), stop);
  }
}

/** A job may fail every second: an event is raised when its error is another one than before, and when it is over. */
class RunReport {
  readonly #context: MemberContext;
  readonly #job: ScheduledJob;
  #failing: string | null = null;
  #overruns = 0;

  constructor(context: MemberContext, job: ScheduledJob) {
    this.#context = context;
    this.#job = job;
  }

  ended(error: { readonly cause: unknown } | null): void {
    const { name, database } = this.#job;
    const view = error === null ? null : errorView(error.cause, this.#context.nowMs());
    if (view !== null && view.code === this.#failing) {
      this.#context.logger.error({ job: name, database, code: view.code }, view.message);
    } else if (view !== null) {
      const data = { job: name, error: view.code };
      this.#context.event("error", "JOB_FAILED", database, `the job ${name} failed: ${view.message}`, data);
    } else if (this.#failing !== null) {
      this.#context.event("info", "JOB_RECOVERED", database, `the job ${name} works again`, { job: name });
    }
    this.#failing = view?.code ?? null;
  }

  /** The next time came before the run had ended. */
  overran(): void {
    const { name, database } = this.#job;
    this.#overruns++;
    const message = "the job took longer than its schedule allows; what was due meanwhile is left out";
    this.#context.logger.warn({ job: name, database, overruns: this.#overruns }, message);
  }
}

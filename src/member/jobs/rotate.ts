/** The rotation job of one database: by the schedule `journal.rotate`, or whenever something was committed. */
import type { MemberContext } from "../member-context.ts";
import type { OperationalDuty } from "../operational-duty.ts";
import { pause } from "../pause.ts";
import { runScheduledJob } from "./scheduled-job.ts";

/** Between rotations, scheduled or for want of commits, the database is still looked after this often. */
const ATTEND_INTERVAL_MS = 1_000;
/** One to which nobody has written for a while: a write to it is noticed at once all the same. */
const REST_INTERVAL_MS = 2_000;

/** Runs until `stop` is aborted. What was committed while nobody served is cut at once, whatever the schedule says. */
export async function runRotateJob(context: MemberContext, duty: OperationalDuty, stop: AbortSignal): Promise<void> {
  const { rotate, minIntervalMs } = context.configuration.journal;
  if (rotate.kind === "continuous") {
    await rotateContinuously(duty, minIntervalMs, stop);
    return;
  }
  const run = () => duty.poll({ rotate: true });
  const { expression } = rotate;
  await run();
  await Promise.all([
    attend(duty, stop),
    runScheduledJob(context, { name: "rotate", database: duty.name, expression, run }, stop),
  ]);
}

async function rotateContinuously(duty: OperationalDuty, minIntervalMs: number, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    await duty.poll({ rotate: true });
    await pause(minIntervalMs, stop);
    await duty.untilWritten(duty.isResting ? REST_INTERVAL_MS : ATTEND_INTERVAL_MS, stop);
  }
}

async function attend(duty: OperationalDuty, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    await pause(ATTEND_INTERVAL_MS, stop);
    await duty.poll({ rotate: false });
  }
}

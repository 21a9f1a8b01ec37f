/** The verification job: by the schedule `journal.verify`, one database after the other. */
import { errorView } from "../error-view.ts";
import type { Member } from "../member.ts";
import type { MemberContext } from "../member-context.ts";
import { verifyDatabase } from "../verification.ts";
import { runScheduledJob } from "./scheduled-job.ts";

/** Runs until `stop` is aborted, which ends a verification that goes on. A mirror without a database yet is left out. */
export async function runVerifyJob(member: Member, stop: AbortSignal): Promise<void> {
  const { context } = member;
  const expression = context.configuration.journal.verify;
  if (expression === null) return;
  const run = async () => {
    for (const duty of [...member.operational.values(), ...member.mirrors.values()]) {
      if (stop.aborted) return;
      // What keeps one database from being verified says nothing of the others.
      await verifyDatabase(context, duty, stop).catch((error: unknown) => skipped(context, duty.name, error, stop));
    }
  };
  await runScheduledJob(context, { name: "verify", database: null, expression, run }, stop);
}

function skipped(context: MemberContext, database: string, error: unknown, stop: AbortSignal): void {
  if (stop.aborted) return;
  const { code, message } = errorView(error, context.nowMs());
  context.event("warn", "VERIFICATION_SKIPPED", database, `it was not verified: ${message}`, { error: code });
}

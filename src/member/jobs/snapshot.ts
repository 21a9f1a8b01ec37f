/** The snapshot job: by the schedule `journal.snapshot`, one database after the other. */
import type { Member } from "../member.ts";
import { runScheduledJob } from "./scheduled-job.ts";

/** Runs until `stop` is aborted. */
export async function runSnapshotJob(member: Member, stop: AbortSignal): Promise<void> {
  const { context } = member;
  const expression = context.configuration.journal.snapshot;
  if (expression === null) return;
  const run = async () => {
    for (const database of context.databases.keys()) if (!stop.aborted) await member.snapshotOrEvent(database);
  };
  await runScheduledJob(context, { name: "snapshot", database: null, expression, run }, stop);
}

/** The snapshot job: by the schedule `journal.snapshot`, one database after the other. */
import { schedule } from "node-cron";
import type { Member } from "../member.ts";
import { Signal } from "../signal.ts";

const WAKE_MS = 60_000;

/** Runs until `stop` is aborted; a time that comes while snapshots are being made is not made up for. */
export async function runSnapshotJob(member: Member, stop: AbortSignal): Promise<void> {
  const { self, configuration } = member.context;
  if (configuration.journal.snapshot === null) return;
  const due = new Signal();
  let isDue = false;
  const task = schedule(configuration.journal.snapshot, () => {
    isDue = true;
    due.set();
  });
  try {
    while (!stop.aborted) {
      await due.wait(WAKE_MS, stop);
      if (!isDue) continue;
      for (const database of self.databases.keys()) if (!stop.aborted) await member.snapshot(database);
      isDue = false;
    }
  } finally {
    await task.destroy();
  }
}

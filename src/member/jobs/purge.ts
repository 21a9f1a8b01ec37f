/** The purge job: removes from the journal what may go, and has a snapshot made early when that would let go more. */
import type { Member } from "../member.ts";
import { pause } from "../pause.ts";

/** Retention counts in days; a shortage of space asks for more haste, and sets `due`. */
const INTERVAL_MS = 15_000;
/** Haste has limits: while there is no room, every attempt to cut asks for a purge. */
const SPACING_MS = 1_000;

/** Runs until `stop` is aborted; one purge, or snapshot, at a time. */
export async function runPurgeJob(member: Member, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const again = await attempt(member);
    if (again) continue;
    await pause(SPACING_MS, stop);
    await member.purgeDuty.due.wait(INTERVAL_MS, stop);
  }
}

/** One purge, and a snapshot if one is due early; then there is more to purge. A fault of the disk must not stop the daemon. */
async function attempt(member: Member): Promise<boolean> {
  try {
    member.purgeDuty.run();
    const database = member.purgeDuty.wantsSnapshot();
    return database !== null && (await member.snapshotOrEvent(database));
  } catch (error) {
    member.context.logger.error({ err: error }, "the purge failed; it is tried again");
    return false;
  }
}

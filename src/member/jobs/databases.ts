/** The job that looks for databases which come and go. */
import type { Member } from "../member.ts";

const OPERATIONAL_INTERVAL_MS = 1_000;
/** A mirror learns of them from its upstream's status, which is read this often. */
const MIRROR_INTERVAL_MS = 500;
/** A look takes one fiftieth of the time at most, however many files there are. */
const INTERVALS_TAKEN = 50;

/** Runs until `stop` is aborted; `found` is called when there are others than those that the member has. */
export async function runDatabasesJob(member: Member, found: () => void, stop: AbortSignal): Promise<void> {
  const intervalMs = member.role === "operational" ? OPERATIONAL_INTERVAL_MS : MIRROR_INTERVAL_MS;
  while (!stop.aborted) {
    const beganMs = performance.now();
    if (member.isOutdated) found();
    const tookMs = performance.now() - beganMs;
    await member.databasesMoved.wait(Math.max(intervalMs, INTERVALS_TAKEN * tookMs), stop);
  }
}

/** The heartbeat job: publishes the status document at every change, and every 2 s as a sign of life. */
import { join } from "node:path";
import { writeFileAtomically } from "../../durable-files.ts";
import type { Member } from "../member.ts";
import { pause } from "../pause.ts";
import { STATUS_FILE } from "../peer.ts";

const HEARTBEAT_MS = 2_000;
/** Status changes with every segment; it is written at most this often. */
const STATUS_SPACING_MS = 100;

/** Runs until `stop` is aborted. */
export async function runHeartbeatJob(member: Member, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    publishStatus(member);
    await pause(STATUS_SPACING_MS, stop);
    await member.statusChanged.wait(HEARTBEAT_MS - STATUS_SPACING_MS, stop);
  }
}

/** A mailbox that cannot be written to (a full disk, a directory that is not mounted) must not stop capture or integration. */
export function publishStatus(member: Member): void {
  const path = join(member.context.self.directory, STATUS_FILE);
  try {
    writeFileAtomically(path, `${JSON.stringify(member.ownStatus())}\n`);
  } catch (error) {
    member.context.logger.error({ err: error, path }, "the status document cannot be written");
  }
}

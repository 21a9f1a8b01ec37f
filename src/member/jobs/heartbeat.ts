/** The heartbeat job: publishes the status document at every change, and every 2 s as a sign of life. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomically, writeFileDurably } from "../../durable-files.ts";
import type { MemberStatus } from "../../status/member-status.ts";
import { formatStatusDocument } from "../../status/status-document.ts";
import type { Member } from "../member.ts";
import { noteArrivals } from "../note-arrivals.ts";
import { pause } from "../pause.ts";
import { STATUS_FILE } from "../peer.ts";
import { ownStatusFile } from "../start-check.ts";

const HEARTBEAT_MS = 2_000;
/** Status changes with every segment; it is written at most this often. */
const STATUS_SPACING_MS = 100;
/** So many times as long as writing it takes is between two of them: with a thousand databases that is some 20 ms. */
const REST_FOR_COST = 10;

/** Runs until `stop` is aborted. */
export async function runHeartbeatJob(member: Member, stop: AbortSignal): Promise<void> {
  let written: number | null = null;
  while (!stop.aborted) {
    if (written !== null && inodeOf(member) !== written) lookWhoPublishes(member);
    const beganMs = performance.now();
    const status = publishStatus(member);
    noteArrivals(member.context, status);
    member.context.overseer.heartbeat(status);
    written = inodeOf(member);
    const spacingMs = Math.max(STATUS_SPACING_MS, REST_FOR_COST * (performance.now() - beganMs));
    await pause(Math.min(spacingMs, HEARTBEAT_MS), stop);
    await member.statusChanged.wait(Math.max(0, HEARTBEAT_MS - spacingMs), stop);
  }
}

/** Another inode than what was written last: somebody else has written there. */
function inodeOf({ context }: Member): number | null {
  return statSync(join(context.self.directory, STATUS_FILE), { throwIfNoEntry: false })?.ino ?? null;
}

function lookWhoPublishes(member: Member): void {
  const run = ownStatusFile(member.context)?.run ?? null;
  if (run !== null) member.identity.sighted("its own mailbox shows", run);
}

/** A mailbox that cannot be written to (a full disk, a directory that is not mounted) must not stop capture or integration. */
export function publishStatus(member: Member): MemberStatus {
  const path = statusPath(member);
  const status = nextStatus(member);
  try {
    writeFileAtomically(path, formatStatusDocument(status));
  } catch (error) {
    member.context.logger.error({ err: error, path }, "the status document cannot be written");
  }
  return status;
}

/** For what other members act upon: it is there after a power cut, too. Throws what keeps it from being written. */
export function publishStatusDurably(member: Member): void {
  writeFileDurably(statusPath(member), formatStatusDocument(nextStatus(member)));
}

function statusPath({ context }: Member): string {
  return join(context.self.directory, STATUS_FILE);
}

function nextStatus(member: Member): MemberStatus {
  return { ...member.ownStatus(), run: member.daemonRun.next() };
}

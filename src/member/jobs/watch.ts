/** The job that now and then looks at a member with which this one has nothing to do: it may know of a later epoch. */
import type { Member } from "../member.ts";
import { pause } from "../pause.ts";
import type { Peer } from "../peer.ts";
import { refreshUntil } from "../refresh-until.ts";

/** What one member knows reaches the others through those that ship to each other; this is for when those are lost. */
const INTERVAL_MS = 30_000;
/** While the upstream says nothing, and while this member must not serve, or has given its role up. */
const WAITING_INTERVAL_MS = 3_000;

/** Runs until `stop` is aborted; what cannot be read now is simply read again later. */
export async function runWatchJob(member: Member, peer: Peer, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    await refreshUntil(peer, stop);
    await peer.disconnect().catch(() => undefined);
    const beganMs = performance.now();
    while (!stop.aborted && performance.now() - beganMs < intervalMs(member)) await pause(WAITING_INTERVAL_MS, stop);
  }
}

function intervalMs({ roles, upstream }: Member): number {
  const isWaiting = roles.duty === "none" || roles.isDemoted || upstream?.alive === false;
  return isWaiting ? WAITING_INTERVAL_MS : INTERVAL_MS;
}

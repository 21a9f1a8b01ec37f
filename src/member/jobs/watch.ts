/** The job that now and then looks at a member with which this one has nothing to do: it may know of a later epoch. */
import type { Member } from "../member.ts";
import { pause } from "../pause.ts";
import type { Peer } from "../peer.ts";

const INTERVAL_MS = 10_000;
/** While this member does nothing, and waits for what others say. */
const WAITING_INTERVAL_MS = 2_000;

/** Runs until `stop` is aborted; what cannot be read now is simply read again later. */
export async function runWatchJob(member: Member, peer: Peer, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    await peer.refresh().catch(() => undefined);
    await peer.disconnect().catch(() => undefined);
    await pause(member.roles.duty === "none" ? WAITING_INTERVAL_MS : INTERVAL_MS, stop);
  }
}

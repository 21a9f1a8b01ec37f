/** The job that now and then looks at a member with which this one has nothing to do: it may know of a later epoch. */
import { pause } from "../pause.ts";
import type { Peer } from "../peer.ts";

const INTERVAL_MS = 10_000;

/** Runs until `stop` is aborted; what cannot be read now is simply read again later. */
export async function runWatchJob(peer: Peer, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    await peer.refresh().catch(() => undefined);
    await peer.disconnect().catch(() => undefined);
    await pause(INTERVAL_MS, stop);
  }
}

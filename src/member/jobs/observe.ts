/** The job that keeps what is known of the upstream fresh. Followers are observed by their shippers; other members matter to nobody here. */
import type { Member } from "../member.ts";
import { pause } from "../pause.ts";
import type { Peer } from "../peer.ts";
import { refreshUntil } from "../refresh-until.ts";

/** The lag that a mirror's status shows is as fresh as what it knows of its upstream. */
const INTERVAL_MS = 500;

/** Runs until `stop` is aborted; what cannot be read now is simply read again later. */
export async function runObserveJob(member: Member, upstream: Peer, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const before = upstream.status?.heartbeat;
    const wasAlive = upstream.alive;
    await refreshUntil(upstream, stop);
    if (upstream.status?.heartbeat !== before) member.statusChanged.set();
    if (upstream.alive && !wasAlive) for (const duty of member.mirrors.values()) duty.retryNow();
    await pause(INTERVAL_MS, stop);
  }
  await upstream.disconnect().catch(() => undefined);
}

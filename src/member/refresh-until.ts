import { pause } from "./pause.ts";
import type { Peer } from "./peer.ts";

/** A mailbox that has not answered by then is tried anew. */
const LIMIT_MS = 60_000;

/**
 * Reads what the peer says, and drops the connection when that fails or `stop` is aborted: one that does not answer must not
 * hold up whoever stops a job, since databases may be waiting to be made writable.
 * @returns whether it was read.
 */
export async function refreshUntil(peer: Peer, stop: AbortSignal): Promise<boolean> {
  const over = new AbortController();
  let isRead = false;
  const reading = peer
    .refresh()
    .then(() => {
      isRead = true;
    })
    .catch(() => undefined)
    .finally(() => over.abort());
  await Promise.race([reading, pause(LIMIT_MS, AbortSignal.any([stop, over.signal]))]);
  if (!isRead) await peer.disconnect().catch(() => undefined);
  return isRead;
}

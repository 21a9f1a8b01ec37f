/** What an operational member does before it serves: it asks whether another one has taken over meanwhile. */
import type { Member } from "./member.ts";
import { READ_TIMEOUT_MS, withTimeout } from "./peer-status.ts";

/**
 * Reads what every other member says, all at once; a later epoch that one of them knows of deposes this member. A mailbox
 * counts as an answer whether or not its member runs: what that one knew last is in it.
 */
export async function confirmReign(member: Member): Promise<void> {
  const { roles, peers, context } = member;
  if (roles.role !== "operational" || peers.size === 0) return;
  const answers = await Promise.all(
    [...peers.values()].map(async (peer) => {
      const isRead = await withTimeout(peer.refresh(), READ_TIMEOUT_MS);
      if (!isRead) await peer.disconnect().catch(() => undefined);
      return isRead ? [peer.member.name] : [];
    }),
  );
  const asked = answers.flat();
  if (roles.role !== "operational") return;
  if (asked.length > 0) {
    context.event("info", "OPERATIONAL_CONFIRMED", null, `no later epoch is known to ${asked.join(", ")}`);
    return;
  }
  const message = "no other member could be asked whether it has become operational; this member serves all the same";
  context.event("warn", "ISOLATED", null, message);
}

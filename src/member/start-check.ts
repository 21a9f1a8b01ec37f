/** What an operational member does before it serves: it asks whether another one has taken over meanwhile. */
import type { Member } from "./member.ts";
import { READ_TIMEOUT_MS, withTimeout } from "./peer-status.ts";

/**
 * Reads what every other member says, all at once; a later epoch that one of them knows of deposes this member. A status
 * document is an answer whether or not its member runs: what that one knew last is in it. So is an empty mailbox of a member
 * that was never seen.
 */
export async function confirmReign(member: Member): Promise<void> {
  const { roles, peers, context } = member;
  if (roles.role !== "operational" || peers.size === 0) return;
  const seen = new Set(context.store.receipts().map((receipt) => receipt.member));
  const answers = await Promise.all(
    [...peers.values()].map(async (peer) => {
      const isRead = await withTimeout(peer.refresh(), READ_TIMEOUT_MS);
      if (!isRead) await peer.disconnect().catch(() => undefined);
      const { name } = peer.member;
      return isRead && (peer.status !== null || !seen.has(name)) ? [name] : [];
    }),
  );
  const asked = answers.flat();
  if (roles.role !== "operational") return;
  if (asked.length > 0) {
    context.event("info", "OPERATIONAL_CONFIRMED", null, `no later epoch is known to ${asked.join(", ")}`);
    return;
  }
  const isFenced = context.configuration.onIsolation === "fence";
  const outcome = isFenced ? "the databases are fenced until one can" : "this member serves all the same";
  const message = `no other member could be asked whether it has become operational; ${outcome}`;
  context.event(isFenced ? "error" : "warn", "ISOLATED", null, message);
  if (isFenced) roles.isolate();
}

/** What an operational member does before it serves: it asks whether another one has taken over meanwhile. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { errnoOf } from "../errno.ts";
import { type MemberStatus, parseMemberStatus } from "../status/member-status.ts";
import { readSmallFile } from "./inbox-entries.ts";
import { LEASE_FILE, LEASE_MAX_BYTES, parseLease } from "./lease-record.ts";
import type { Member } from "./member.ts";
import type { MemberContext } from "./member-context.ts";
import { MemberError } from "./member-error.ts";
import { STATUS_FILE } from "./peer.ts";
import { readStatusOrHangUp } from "./peer-status.ts";

/** A daemon publishes every 2 s. */
const TWIN_LIMIT_MS = 5_000;
const LOOK_INTERVAL_MS = 200;
/** By this machine's clock, which is also that of whoever publishes into a directory of it. */
const RECENT_MS = 10_000;

/** What this member's own mailbox says of it, whoever has written it; null when there is nothing. */
export function ownStatusFile({ self }: Pick<MemberContext, "self">): MemberStatus | null {
  try {
    return parseMemberStatus(readFileSync(join(self.directory, STATUS_FILE), "utf8"));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return null;
  }
}

/**
 * Before this member publishes anything: whether another daemon, with another state directory, publishes in its mailbox.
 * Who comes second must leave everything as it is, the databases too, for they may be the other one's.
 * @throws MemberError MEMBER_CLONED.
 */
export async function assertAlone({ context }: Member): Promise<void> {
  const found = ownStatusFile(context);
  const { run = null, heartbeat = null } = found ?? {};
  if (run === null || context.store.runs.find(run.session) !== null) return;
  const ageMs = Math.abs(context.nowMs() - Date.parse(heartbeat ?? ""));
  if (Number.isNaN(ageMs) || ageMs > RECENT_MS) return;
  const untilMs = performance.now() + TWIN_LIMIT_MS;
  while (performance.now() < untilMs) {
    await delay(LOOK_INTERVAL_MS);
    const now = ownStatusFile(context)?.run ?? run;
    if (now.session === run.session && now.beat === run.beat) continue;
    const { name, directory } = context.self;
    throw new MemberError("MEMBER_CLONED", `another daemon serves ${name} and publishes in its mailbox`, {
      path: directory,
      hint: "Look at `state` in the configuration of both: one member has one state directory and one daemon.",
    });
  }
}

/**
 * Reads what every other member says, all at once; a later epoch that one of them knows of deposes this member. A status
 * document is an answer whether or not its member runs: what that one knew last is in it. So is an empty mailbox of a member
 * that was never seen. What lies in this member's own mailbox counts, too.
 */
export async function confirmReign(member: Member): Promise<void> {
  const { roles, peers, context } = member;
  if (roles.role !== "operational" || peers.size === 0) return;
  const seen = new Set(context.store.receipts().map((receipt) => receipt.member));
  const answers = await Promise.all(
    [...peers.values()].map(async (peer) => {
      const isRead = await readStatusOrHangUp(peer);
      const { name } = peer.member;
      return isRead && (peer.status !== null || !seen.has(name)) ? [name] : [];
    }),
  );
  const asked = answers.flat();
  if (roles.role !== "operational") return;
  const later = laterEpochInInbox(member);
  if (later !== null) {
    roles.isolate(later);
    return;
  }
  if (asked.length > 0) {
    context.event("info", "OPERATIONAL_CONFIRMED", null, `no later epoch is known to ${asked.join(", ")}`);
    return;
  }
  if (context.configuration.onIsolation === "fence") {
    roles.isolate(null);
    return;
  }
  const message = "no other member could be asked whether it has become operational; this member serves all the same";
  context.event("warn", "ISOLATED", null, message);
}

/** Who ships into this member's mailbox in a later epoch proves that it has begun, but not whose it is. */
function laterEpochInInbox({ context, roles }: Member): number | null {
  const { self, configuration } = context;
  const path = join(self.directory, LEASE_FILE);
  const text = readSmallFile(path, LEASE_MAX_BYTES);
  const lease = text === null ? null : parseLease(text);
  if (lease === null || lease.mirror !== configuration.mirror) return null;
  return lease.epoch > roles.epoch ? lease.epoch : null;
}

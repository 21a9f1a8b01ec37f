/** What must hold before the operational member hands over: all of it is only looked at. Each refusal has a code of its own. */
import { integratesLate } from "../config/configuration.ts";
import { nextEpoch } from "../roles/epoch-history.ts";
import type { MemberStatus } from "../status/member-status.ts";
import { LEASE_FILE, LEASE_MAX_BYTES, parseLease } from "./lease-record.ts";
import type { Member } from "./member.ts";
import { MemberError, type MemberErrorCode, notRunning } from "./member-error.ts";
import { upstreamChain } from "./member-plan.ts";
import { pause } from "./pause.ts";
import type { Peer } from "./peer.ts";
import { readStatusOrHangUp } from "./peer-status.ts";
import { type Concern, switchoverChecks } from "./readiness.ts";

/** Three heartbeats: who runs has moved its own by then. */
const HEARTBEAT_WAIT_MS = 6_000;
const LOOK_INTERVAL_MS = 100;
/** What members are just telling each other, or doing for the first time in an epoch. */
const PASSING: readonly MemberErrorCode[] = ["SWITCHOVER_EPOCH", "SWITCHOVER_DATABASES", "SWITCHOVER_MAILBOX"];
const PASSING_LIMIT_MS = 5_000;
const NEVER = new AbortController().signal;

export interface SwitchoverTarget {
  readonly peer: Peer;
  /** The epoch that would begin. */
  readonly epoch: number;
  /** This member's own follower through which the target gets its segments: mostly the target itself. */
  readonly follower: string;
}

/**
 * @throws MemberError NOT_OPERATIONAL, NOT_RUNNING, SWITCHOVER_RUNNING, SWITCHOVER_TARGET, SWITCHOVER_TYPE, SWITCHOVER_DOWN,
 * SWITCHOVER_EPOCH, SWITCHOVER_DATABASES, SWITCHOVER_ERROR, SWITCHOVER_HELD, SWITCHOVER_FENCED, SWITCHOVER_MAILBOX.
 */
export async function checkSwitchover(member: Member, to: string): Promise<SwitchoverTarget> {
  assertReigns(member);
  const peer = knownTarget(member, to);
  await assertAlive(peer);
  const untilMs = performance.now() + PASSING_LIMIT_MS;
  for (;;) {
    try {
      return await checkNow(member, peer);
    } catch (error) {
      if (!(error instanceof MemberError) || !PASSING.includes(error.code) || performance.now() >= untilMs) throw error;
    }
    await pause(LOOK_INTERVAL_MS, NEVER);
    await readStatusOrHangUp(peer);
  }
}

/** By what is known of the peer now. */
async function checkNow(member: Member, peer: Peer): Promise<SwitchoverTarget> {
  const to = peer.member.name;
  const { status } = peer;
  if (status === null || status.mirror !== member.context.configuration.mirror)
    throw refusal("SWITCHOVER_TARGET", `the mailbox of ${to} is not one of this mirror set`, "Look at its `mailbox`.");
  assertReady(member, status);
  const chain = upstreamChain(member.context.configuration, member.roles.operational, to);
  const follower = chain.at(-1) ?? to;
  if (to === follower) await assertLease(member, peer);
  const names = [...member.context.configuration.members.keys()];
  return { peer, follower, epoch: nextEpoch(member.roles.epoch, to, names) };
}

function assertReigns({ context, roles, running }: Member): void {
  const { name } = context.self;
  const { role } = roles.state;
  if (role === "offering" || role === "claimed") {
    throw refusal(
      "SWITCHOVER_RUNNING",
      `${name} is in the middle of another change of role`,
      "Wait for it, or undo it with `afterimage switchover --cancel`: see `afterimage status`.",
    );
  }
  if (role !== "operational") {
    throw new MemberError("NOT_OPERATIONAL", `${name} is not operational: it has nothing to hand over`, {
      hint: `Run the command on ${roles.operational}, with --node ${roles.operational}.`,
    });
  }
  if (!running) throw notRunning(name);
}

function knownTarget({ context, peers }: Member, to: string): Peer {
  const peer = peers.get(to);
  if (peer === undefined) {
    const is = to === context.self.name ? "is operational already" : "is no member of this mirror set";
    throw refusal("SWITCHOVER_TARGET", `${to} ${is}`, `Name one of: ${[...peers.keys()].join(", ")}.`);
  }
  return peer;
}

/** That it was alive a moment ago is not enough: its heartbeat must move while it is awaited. */
async function assertAlive(peer: Peer): Promise<void> {
  const { name } = peer.member;
  const untilMs = performance.now() + HEARTBEAT_WAIT_MS;
  let isRead = await readStatusOrHangUp(peer);
  const first = isRead ? peer.status?.heartbeat : undefined;
  while (performance.now() < untilMs) {
    await pause(LOOK_INTERVAL_MS, NEVER);
    isRead = await readStatusOrHangUp(peer);
    const { heartbeat, state } = peer.status ?? {};
    if (isRead && first !== undefined && heartbeat !== first && state !== "down") return;
  }
  const why = isRead ? "its heartbeat stands still" : "its mailbox cannot be read";
  throw refusal(
    "SWITCHOVER_DOWN",
    `${name} cannot take over: ${why}`,
    `Start its daemon: \`afterimage run\` on ${name}.`,
  );
}

const SEE_STATUS = "See `afterimage status`.";

const REFUSALS: Readonly<Record<Concern, MemberErrorCode>> = {
  role: "SWITCHOVER_EPOCH",
  type: "SWITCHOVER_TYPE",
  daemon: "SWITCHOVER_DOWN",
  operational: "SWITCHOVER_DOWN",
  mailbox: "SWITCHOVER_MAILBOX",
  epoch: "SWITCHOVER_EPOCH",
  error: "SWITCHOVER_ERROR",
  clock: "SWITCHOVER_ERROR",
  databases: "SWITCHOVER_DATABASES",
  held: "SWITCHOVER_HELD",
  fenced: "SWITCHOVER_FENCED",
  behind: "SWITCHOVER_BEHIND",
  told: "SWITCHOVER_DOWN",
};

/** The first of the checks that `afterimage validate` shows as well, and that fails. */
function assertReady(member: Member, target: MemberStatus): void {
  const { configuration, databases, self } = member.context;
  if (databases.size === 0)
    throw refusal("SWITCHOVER_DATABASES", `${self.name} has no databases to hand over`, "See its `databases`.");
  const failed = switchoverChecks({
    target: { ...target, reachable: true },
    operational: member.ownStatus(),
    others: [],
    integratesLate: integratesLate(configuration, target.member),
  }).find(({ level }) => level === "FAIL");
  if (failed === undefined) return;
  throw refusal(REFUSALS[failed.concern], `${failed.check}: ${failed.message}`, failed.hint ?? SEE_STATUS);
}

/** Whether nobody else may put anything into the target's mailbox. */
async function assertLease(member: Member, peer: Peer): Promise<void> {
  const to = peer.member.name;
  const bytes = await peer.transport().read(LEASE_FILE, { maxBytes: LEASE_MAX_BYTES });
  const lease = bytes === null ? null : parseLease(Buffer.from(bytes).toString("utf8"));
  if (lease?.instance === member.context.store.identity.stateId && !lease.released) return;
  throw refusal(
    "SWITCHOVER_MAILBOX",
    `this member does not hold the lease of the mailbox of ${to} yet`,
    "Wait a moment; see `afterimage status`.",
  );
}

function refusal(code: MemberErrorCode, message: string, hint: string): MemberError {
  return new MemberError(code, message, { hint });
}

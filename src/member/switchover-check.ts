/** What must hold before the operational member hands over: all of it is only looked at. Each refusal has a code of its own. */
import { configuredPath } from "../config/database-pattern.ts";
import { nextEpoch } from "../roles/epoch-history.ts";
import type { DatabaseStatus, MemberStatus } from "../status/member-status.ts";
import { LEASE_FILE, LEASE_MAX_BYTES, parseLease } from "./lease-record.ts";
import type { Member } from "./member.ts";
import { MemberError, type MemberErrorCode, notRunning } from "./member-error.ts";
import { upstreamChain } from "./member-plan.ts";
import { pause } from "./pause.ts";
import type { Peer } from "./peer.ts";
import { READ_TIMEOUT_MS, withTimeout } from "./peer-status.ts";

/** Three heartbeats: who runs has moved its own by then. */
const HEARTBEAT_WAIT_MS = 6_000;
const LOOK_INTERVAL_MS = 100;

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
  const { status } = peer;
  if (status === null || status.mirror !== member.context.configuration.mirror)
    throw refusal("SWITCHOVER_TARGET", `the mailbox of ${to} is not one of this mirror set`, "Look at its `mailbox`.");
  assertFollows(member, status);
  assertOwnDatabases(member);
  for (const name of member.context.databases.keys()) assertCopy(peer, name, status.databases[name]);
  const chain = upstreamChain(member.context.configuration, member.roles.operational, to);
  const follower = chain.at(-1) ?? to;
  await assertMailbox(member, peer, follower);
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
  if (peer.member.type === "reporting")
    throw refusal(
      "SWITCHOVER_TYPE",
      `${to} is of type reporting, which never takes over`,
      "Name a member of type failover or dr.",
    );
  const { delayMs, integrate } = peer.member;
  if (delayMs > 0 || integrate.kind !== "continuous")
    throw refusal(
      "SWITCHOVER_HELD",
      `${to} integrates late on purpose, by its \`delay\` or its schedule`,
      "Take that out of its configuration, and run `afterimage reload` there.",
    );
  return peer;
}

async function assertAlive(peer: Peer): Promise<void> {
  const { name } = peer.member;
  const untilMs = performance.now() + HEARTBEAT_WAIT_MS;
  const never = new AbortController().signal;
  let isRead = false;
  do {
    isRead = await look(peer);
    if (isRead && peer.alive) return;
    await pause(LOOK_INTERVAL_MS, never);
  } while (performance.now() < untilMs);
  const why = isRead ? "its heartbeat stands still" : "its mailbox cannot be read";
  throw refusal(
    "SWITCHOVER_DOWN",
    `${name} cannot take over: ${why}`,
    `Start its daemon: \`afterimage run\` on ${name}.`,
  );
}

/** Reads what the peer says now. @returns whether it could be read, in time. */
export async function look(peer: Peer): Promise<boolean> {
  const isRead = await withTimeout(peer.refresh(), READ_TIMEOUT_MS);
  if (!isRead) await peer.disconnect().catch(() => undefined);
  return isRead;
}

function assertFollows({ roles }: Member, { member, role, epoch, state, errors }: MemberStatus): void {
  const [error] = errors;
  if (error !== undefined)
    throw refusal("SWITCHOVER_ERROR", `${member}: ${error.code}: ${error.message}`, error.hint ?? SEE_STATUS);
  if (role === "mirror" && epoch === roles.epoch && state !== "fenced") return;
  const is = role === "mirror" ? `follows in epoch ${epoch ?? "none"}, not in ${roles.epoch}` : "is no mirror";
  throw refusal(
    "SWITCHOVER_EPOCH",
    `${member} ${is}`,
    "They tell each other soon; if not, see `afterimage history` on both.",
  );
}

const SEE_STATUS = "See `afterimage status`.";

function assertOwnDatabases({ context, operational }: Member): void {
  const { databases, store, self } = context;
  if (databases.size === 0)
    throw refusal("SWITCHOVER_DATABASES", `${self.name} has no databases to hand over`, "See its `databases`.");
  for (const name of databases.keys()) {
    const { error = null, received = null } = store.database(name) ?? {};
    if (error !== null) throw refusal("SWITCHOVER_ERROR", `${name}: ${error.code}: ${error.message}`, SEE_STATUS);
    if (received === null)
      throw refusal("SWITCHOVER_DATABASES", `the journal of ${name} has not begun yet`, "Wait until it has.");
    if (operational.get(name)?.fenced === true)
      throw refusal(
        "SWITCHOVER_FENCED",
        `${name} was fenced by hand, and a switchover would make it writable`,
        "End that first with `afterimage unfence`.",
      );
  }
}

function assertCopy({ member }: Peer, database: string, copy: DatabaseStatus | undefined): void {
  if (configuredPath(member, database) === null || copy === undefined || copy.integrated === null) {
    throw refusal(
      "SWITCHOVER_DATABASES",
      `${member.name} has no copy of ${database}`,
      "Add it to the configuration there, or wait until its first state is integrated.",
    );
  }
  const { error, hold, heldBy, resync, paused } = copy;
  if (error !== null)
    throw refusal(
      "SWITCHOVER_ERROR",
      `${database} on ${member.name}: ${error.code}: ${error.message}`,
      error.hint ?? SEE_STATUS,
    );
  if (resync != null)
    throw refusal(
      "SWITCHOVER_ERROR",
      `the copy of ${database} on ${member.name} is being made equal`,
      "Wait until it is.",
    );
  const held = paused ? "integration is paused" : (hold?.message ?? heldBy);
  if (held !== null)
    throw refusal(
      "SWITCHOVER_HELD",
      `${database} on ${member.name} waits: ${held}`,
      "End that there, with `afterimage resume`.",
    );
}

/** Whether what is put into the target's mailbox, or into that of the first member on the way to it, arrives. */
async function assertMailbox(member: Member, peer: Peer, follower: string): Promise<void> {
  const { error } = member.ownStatus().followers[follower] ?? { error: null };
  if (error !== null)
    throw refusal(
      "SWITCHOVER_MAILBOX",
      `cannot ship to ${follower}: ${error.code}: ${error.message}`,
      error.hint ?? SEE_STATUS,
    );
  const to = peer.member.name;
  if (to !== follower) return;
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

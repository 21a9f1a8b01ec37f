/**
 * Promotion: a mirror becomes operational in an epoch of its own, because the operational member is lost.
 *
 * Guarantee: the epoch begins, durably and in one step with the role, exactly where every database of this member ends; what
 * was received is integrated before. Who reigned before is deposed as soon as it learns of that, see start-check.ts.
 */
import { setTimeout as delay } from "node:timers/promises";
import { formatPosition, type Position } from "../ltx/position.ts";
import { type Epoch, nextEpoch } from "../roles/epoch-history.ts";
import { knownEpoch } from "../roles/role-state.ts";
import { collectSegments } from "./collect-segments.ts";
import { holdingAll } from "./holding-all.ts";
import { knownRoles } from "./known-roles.ts";
import type { Member } from "./member.ts";
import type { PromoteOptions, PromoteResult } from "./member-control.ts";
import { MemberError } from "./member-error.ts";
import type { Peer } from "./peer.ts";
import { readStatus } from "./peer-status.ts";
import { planPromotion } from "./promotion-plan.ts";
import { serveIfClaimed } from "./role-change.ts";

/** Five heartbeats: an operational member that says nothing for so long does not run, or cannot be reached. */
const SILENCE_MS = 10_000;
const LOOK_INTERVAL_MS = 500;
/** What a host that answers needs, also a distant one: its connection is open. */
const OBSERVED_LOOK_MS = 400;

/** A segment may arrive while the last one is being integrated. */
const ATTEMPTS = 20;
const SERVED_LIMIT_MS = 60_000;
/** A mirror whose upstream is silent looks at this member every few seconds; who does not live is not waited for. */
const TOLD_LIMIT_MS = 15_000;
const LIFE_SIGN_MS = 3_000;

/**
 * @throws MemberError NOT_A_MIRROR, MEMBER_CLONED, STATE_SET_BACK, PROMOTION_TYPE, PROMOTION_ALIVE, PROMOTION_BEHIND, PROMOTION_VETOED,
 * PROMOTION_INCOMPLETE: nothing has changed then; PROMOTION_UNSERVED when the databases cannot be made writable, which
 * the daemon goes on trying.
 */
export async function promote(member: Member, options: PromoteOptions): Promise<PromoteResult> {
  const from = member.roles.operational;
  assertPromotable(member, from, options.force);
  await lookAtAll(member, from);
  if (options.force === undefined) await assertSilent(member, from);
  if (options.dryRun === true)
    return await planPromotion(member, { epoch: ownNextEpoch(member), databases: lastReceived(member) });
  const { steps, self } = member.context;
  const collected = await collectSegments(member, {
    mustHaveAll: options.force === undefined,
    except: (peer) => member.roles.isSetBack || (peer.member.name === from && !hasGivenUp(peer, member)),
  });
  await member.hooks.askToPromote(ownNextEpoch(member), options.force !== undefined);
  steps.done("promote:consented", `nothing is against promoting ${self.name}`);
  const received = lastReceived(member);
  const epoch = await claimOrTell(member);
  steps.done("promote:claimed", `everything that was received is integrated, and epoch ${epoch} has begun`);
  await untilServed(member);
  steps.done("promote:served", "the databases are writable");
  const left = await untold(member, epoch);
  steps.done("promote:told", left.length === 0 ? "every member has been told" : `not told yet: ${left.join(", ")}`);
  const roles = knownRoles(await member.status());
  const done = { dryRun: false, steps: [], losses: [] };
  return { member: self.name, epoch, from, ...done, databases: received, collected, untold: left, roles };
}

function assertPromotable(member: Member, from: string, force: string | undefined): void {
  const { self } = member.context;
  const { roles } = member;
  const [fault] = roles.errors.filter(({ code }) => code === "MEMBER_CLONED");
  if (fault !== undefined) throw new MemberError("MEMBER_CLONED", fault.message, { hint: fault.hint ?? "" });
  const goesOn = roles.isSetBack && from === self.name;
  if (goesOn && force === undefined) {
    throw new MemberError("STATE_SET_BACK", `${self.name} was set back: other members hold more of its own epoch`, {
      hint: `Promote the member that has received most. --force ${from} goes on from what is here, and gives up what the others hold.`,
    });
  }
  if (roles.state.role !== "mirror" && !roles.isDemoted && !goesOn) {
    const isAlready = roles.state.role === "operational";
    const what = isAlready ? "is operational: there is nothing to promote" : "is no mirror that follows";
    throw new MemberError("NOT_A_MIRROR", `${self.name} ${what}`, {
      hint: isAlready
        ? "To hand its role over use `afterimage switchover --to MEMBER`; when it is lost, run the command on a mirror."
        : "Look at `afterimage status`: promote another member.",
    });
  }
  if (self.type === "reporting") {
    throw new MemberError("PROMOTION_TYPE", `${self.name} is of type reporting, which is never promoted`, {
      hint: "Promote a member of type failover or dr.",
    });
  }
  if (force === undefined || force === from) return;
  throw new MemberError("PROMOTION_ALIVE", `the operational member is ${from}, not ${force}`, {
    hint: `With --force ${from} it is promoted whatever ${from} does; make sure that nobody writes there.`,
  });
}

async function lookAtAll({ peers, upstream, running }: Member, from: string): Promise<void> {
  const looks = [...peers.values()].map(async (peer) => {
    // A daemon reads its upstream all the time: when that does not answer now, it is as silent as it has been.
    const isObserved = running && peer === upstream && peer.member.name === from;
    await (isObserved ? Promise.race([readStatus(peer), delay(OBSERVED_LOOK_MS)]) : readStatus(peer));
  });
  await Promise.all(looks);
}

/**
 * Waits until the operational member has said nothing new for a while, neither to this member nor to one that can be asked.
 * The daemon may have listened for that long already.
 */
async function assertSilent(member: Member, from: string): Promise<void> {
  const { known, peers } = member;
  const { lifeSigns } = known;
  const peer = peers.get(from);
  if (peer === undefined || isFencedForGood(peer) || hasGivenUp(peer, member)) return;
  const beganMs = performance.now();
  const before = lifeSigns.movesOf(from);
  for (;;) {
    for (const [witness, moves] of lifeSigns.movesOf(from)) {
      // What another member has read may have been written just before the end.
      if (moves - (before.get(witness) ?? 0) < (witness === from ? 1 : 2)) continue;
      const how = witness === from ? "its heartbeat moves" : `${witness} sees its heartbeat move`;
      throw new MemberError("PROMOTION_ALIVE", `${from} is operational and alive: ${how}`, {
        hint: `Stop ${from} first. With --force ${from} it is promoted all the same; then make sure that nobody writes there.`,
      });
    }
    const leftMs = (lifeSigns.heardAtMs(from) ?? beganMs) + SILENCE_MS - performance.now();
    if (leftMs <= 0) return;
    await delay(Math.min(LOOK_INTERVAL_MS, leftMs));
    await lookAtAll(member, from);
  }
}

/** Its state was set back: it serves nothing until an operator has decided, and this may be the decision. */
function isFencedForGood({ status }: Peer): boolean {
  return status?.errors.some(({ code }) => code === "STATE_SET_BACK") ?? false;
}

/** It serves nobody in this epoch any more, whatever becomes of it. */
function hasGivenUp({ status }: Peer, { roles }: Member): boolean {
  return status?.epoch === roles.epoch && status.errors.some(({ code }) => code === "DEMOTED");
}

async function claimOrTell(member: Member): Promise<number> {
  try {
    return await claim(member);
  } catch (error) {
    if (member.roles.state.role === "mirror") member.hooks.promoteFailed(ownNextEpoch(member), error);
    throw error;
  }
}

function ownNextEpoch({ context, roles }: Member): number {
  return nextEpoch(knownEpoch(roles.state), context.self.name, [...context.configuration.members.keys()]);
}

/** Integrates everything that was received, and begins the epoch where it ends, while nothing more is taken in. */
async function claim(member: Member): Promise<number> {
  const duties = [...member.mirrors.values()];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    await member.integrate(undefined, { now: true });
    const epoch = await holdingAll(duties, async () => (firstIncomplete(member) === null ? begin(member) : null));
    if (epoch !== null) return epoch;
  }
  throw new MemberError("PROMOTION_INCOMPLETE", `not all that was received is integrated: ${firstIncomplete(member)}`, {
    hint: "Look at `afterimage status`, end a pause with `afterimage resume`, and run the command again.",
  });
}

function begin(member: Member): number {
  const { context, roles } = member;
  const epoch = ownNextEpoch(member);
  const starts: Record<string, Position> = {};
  for (const name of context.databases.keys()) {
    const position = context.store.database(name)?.integrated ?? null;
    if (position !== null) starts[name] = position;
  }
  const startedAt = new Date(context.nowMs()).toISOString();
  const begun: Epoch = { epoch, member: context.self.name, reason: "promotion", startedAt, starts };
  const refused = roles.apply({ type: "promote", epoch }, begun);
  if (refused !== null) throw new MemberError("NOT_A_MIRROR", `${context.self.name} cannot be promoted: ${refused}`);
  context.event("warn", "PROMOTED", null, `this member takes over in epoch ${epoch}`, { epoch });
  return epoch;
}

/** A database of which something is left to integrate, and why that matters; null when there is none. */
function firstIncomplete({ context }: Member): string | null {
  for (const name of context.databases.keys()) {
    const { received = null, integrated = null, intent = null } = context.store.database(name) ?? {};
    if (integrated === null) return `${name} has no first state yet`;
    const isLevel = received !== null && formatPosition(received) === formatPosition(integrated);
    if (!isLevel || intent !== null) return `${name} is at ${formatPosition(integrated)}`;
  }
  return null;
}

/** The daemon does what the claimed epoch demands; without one it is done here. */
async function untilServed(member: Member): Promise<void> {
  if (!member.running) {
    await member.take(member.plan());
    await serveIfClaimed(member);
    member.hooks.settled();
  }
  const untilMs = performance.now() + (member.running ? SERVED_LIMIT_MS : 0);
  while (member.roles.state.role === "claimed" && performance.now() < untilMs) await delay(50);
  if (member.roles.state.role === "operational") return;
  throw new MemberError("PROMOTION_UNSERVED", "the epoch has begun, and not all databases could be made writable yet", {
    hint: "Look for UNFENCE_FAILED among the events. The daemon tries again by itself.",
  });
}

/** Members that do not show the new epoch: they may still take the former operational member for it. */
async function untold({ peers, running }: Member, epoch: number): Promise<string[]> {
  const beganMs = performance.now();
  const limitMs = running ? TOLD_LIMIT_MS : 0;
  let left = [...peers.values()];
  for (;;) {
    await Promise.all(left.map((peer) => readStatus(peer)));
    left = left.filter(({ status }) => (status?.epoch ?? 0) < epoch);
    const waitedMs = performance.now() - beganMs;
    const isHopeless = waitedMs >= LIFE_SIGN_MS && left.every(({ alive }) => !alive);
    if (left.length === 0 || waitedMs >= limitMs || isHopeless) return left.map(({ member }) => member.name);
    await delay(LOOK_INTERVAL_MS);
  }
}

function lastReceived({ context }: Member): PromoteResult["databases"] {
  return [...context.databases.keys()].map((database) => {
    const { received = null, receivedTimeMs = null } = context.store.database(database) ?? {};
    return {
      database,
      position: received === null ? null : formatPosition(received),
      time: receivedTimeMs === null ? null : new Date(receivedTimeMs).toISOString(),
      ageSeconds: receivedTimeMs === null ? null : Math.max(0, (context.nowMs() - receivedTimeMs) / 1000),
    };
  });
}

/** Whether a member is ready to take over now, by what all members say: `afterimage validate`. Changes nothing. */
import { integratesLate, selectMember } from "../config/configuration.ts";
import type { MemberStatus } from "../status/member-status.ts";
import type { CheckResult } from "./check-result.ts";
import { awaitHeartbeat, type ClockReading } from "./heartbeat-clock.ts";
import type { Member } from "./member.ts";
import type { Peer } from "./peer.ts";
import { readStatus } from "./peer-status.ts";
import { type PossibleLoss, possibleLosses } from "./possible-losses.ts";
import {
  isDemoted,
  isReady,
  type PromotionReadiness,
  promotionChecks,
  type ReadinessFacts,
  switchoverChecks,
} from "./readiness.ts";

export interface ValidateResult {
  readonly member: string;
  /** Who reigns in the newest epoch as far as is known. */
  readonly operational: string;
  /** Whether it can take over as things are: by a switchover, or by a promotion while nobody is operational. */
  readonly ready: boolean;
  readonly switchover: { readonly ready: boolean; readonly checks: readonly CheckResult[] };
  readonly promotion: {
    readonly ready: PromotionReadiness;
    readonly checks: readonly CheckResult[];
    /** What it would lose now. */
    readonly losses: readonly PossibleLoss[];
  };
}

/** @throws ConfigError MEMBER_UNKNOWN. */
export async function validate(member: Member, name: string): Promise<ValidateResult> {
  const { context, roles } = member;
  selectMember(context.configuration, name);
  const facts = await gather(member, name);
  const [forSwitchover, forPromotion] = [switchoverChecks(facts), promotionChecks(facts)];
  const { operational } = facts;
  const reigns =
    operational !== null && operational.member !== name && operational.reachable && !isDemoted(operational);
  const mayBePromoted = reigns ? "operational running" : "yes";
  const promotion = isReady(forPromotion) ? mayBePromoted : "no";
  return {
    member: name,
    operational: roles.operational,
    ready: isReady(forSwitchover) || promotion === "yes",
    switchover: { ready: isReady(forSwitchover), checks: forSwitchover },
    promotion: { ready: promotion, checks: forPromotion, losses: possibleLosses(facts, context.nowMs()) },
  };
}

async function gather(member: Member, name: string): Promise<ReadinessFacts> {
  const reigning = member.roles.operational;
  const awaited = [...new Set([reigning, name])].flatMap((each) => member.peers.get(each) ?? []);
  const readings = await Promise.all(awaited.map((peer) => readClock(peer)));
  const silent = new Set(awaited.filter((_, i) => readings[i] === null).map((peer) => peer.member.name));
  const { members } = await member.status();
  // Three heartbeats have not come: who is silent may have lived a moment ago, and cannot be counted on.
  const judged = members.map((each) => (silent.has(each.member) && each.reachable ? asDown(each) : each));
  const target = judged.find((each) => each.member === name);
  if (target === undefined) throw new RangeError(`the status has no member ${name}`);
  const clocks = awaited.flatMap((peer, i): [string, ClockReading][] => {
    const reading = readings[i] ?? null;
    return reading === null ? [] : [[peer.member.name, reading]];
  });
  return {
    target,
    operational: judged.find((each) => each.member === reigning && each.role !== null) ?? null,
    others: judged.filter((each) => each.member !== name && each.member !== reigning),
    integratesLate: integratesLate(member.context.configuration, name),
    clocks: new Map(clocks),
  };
}

function asDown(status: MemberStatus): MemberStatus {
  return { ...status, reachable: false, state: "down" };
}

/** Null when the heartbeat stands still, or cannot be read. */
async function readClock(peer: Peer): Promise<ClockReading | null> {
  if (!(await readStatus(peer))) return null;
  return await awaitHeartbeat(peer).catch(() => null);
}

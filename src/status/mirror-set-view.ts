/** What the status documents of all members say together. Pure functions. */
import type { MemberStatus } from "./member-status.ts";

/** Heartbeats come every 2 s from each member of a chain: whoever has heard nothing for so long will not hear in a moment. */
const SILENT_AFTER_S = 20;

export interface MissingDatabases {
  readonly member: string;
  /** Those that the operational member has, sorted. */
  readonly databases: readonly string[];
}

/** Who says in the newest epoch that it is operational; null when nobody does, as far as is known. */
export function operationalMember(members: readonly MemberStatus[]): MemberStatus | null {
  return members
    .filter(({ role }) => role === "operational")
    .reduce<MemberStatus | null>((best, each) => ((each.epoch ?? 0) > (best?.epoch ?? -1) ? each : best), null);
}

/** Members that lack databases which the operational member has; of members of which nothing is known, nothing is said. */
export function missingDatabases(members: readonly MemberStatus[]): MissingDatabases[] {
  const operational = operationalMember(members);
  if (operational === null) return [];
  const wanted = Object.keys(operational.databases).sort();
  return members
    .filter(({ role }) => role === "mirror")
    .map(({ member, databases }) => ({ member, databases: wanted.filter((name) => databases[name] === undefined) }))
    .filter(({ databases }) => databases.length > 0);
}

/**
 * Whether what the member says of the journal's end is recent: it lives, and it and those above it hear the operational member.
 * A member to which everybody is silent knows of no lag.
 */
export function hearsOperational(member: MemberStatus, members: readonly MemberStatus[]): boolean {
  const { role, reachable, state, upstreamAgeSeconds: ageSeconds = null } = member;
  if (!reachable || role === null || state === "waiting") return false;
  if (role === "operational") return true;
  if (ageSeconds !== null) return ageSeconds <= SILENT_AFTER_S;
  // It has just been started, and no chain is longer than there are members.
  const rest = members.filter((each) => each !== member);
  const upstream = rest.find((each) => each.member === member.follows);
  return upstream === undefined || hearsOperational(upstream, rest);
}

/** Whether it lives: a mirror may have no way to a sister of its own, so what their hub says of her counts. */
export function isSeen({ member, reachable }: MemberStatus, members: readonly MemberStatus[]): boolean {
  return reachable || members.some((other) => other.reachable && other.followers[member]?.reachable === true);
}

/** What a member should be doing by its configuration and the databases that there are: what it does is made to meet this. */
import { type Configuration, FOLLOWS_OPERATIONAL, type MemberConfiguration } from "../config/configuration.ts";
import type { DatabaseDuty } from "./member-roles.ts";

export interface MemberPlan {
  readonly configuration: Configuration;
  readonly self: MemberConfiguration;
  /** Files of the databases that are to be served, by name. */
  readonly databases: ReadonlyMap<string, string>;
  /** What is done for them. */
  readonly duty: DatabaseDuty;
  /** That this member reigns in, or follows. */
  readonly epoch: number;
  /** Whom this member follows; null on the operational member, and on one that was. */
  readonly upstream: string | null;
  /** The members that follow this one. */
  readonly followers: readonly string[];
}

/** The member that `member` follows while `operational` is the operational one; null when that is itself. */
export function upstreamOf(operational: string, member: MemberConfiguration): string | null {
  if (member.name === operational) return null;
  return member.follows === FOLLOWS_OPERATIONAL ? operational : member.follows;
}

/** The members whose upstream `name` is while `operational` is the operational member. */
export function followersOf({ members }: Configuration, operational: string, name: string): string[] {
  return [...members.values()]
    .filter((member) => upstreamOf(operational, member) === name)
    .map((member) => member.name);
}

/** Through which members `name` gets its segments while `operational` is the operational one: itself first, a follower of that one last. */
export function upstreamChain({ members }: Configuration, operational: string, name: string): string[] {
  const chain: string[] = [];
  for (let at = members.get(name); at !== undefined && at.name !== operational && !chain.includes(at.name); ) {
    chain.push(at.name);
    at = members.get(upstreamOf(operational, at) ?? "");
  }
  return chain;
}

type ShipperPlan = Pick<MemberPlan, "configuration" | "epoch">;

/** What the connection to a member's mailbox depends on: with another one of it a new connection is needed. */
export function connectionFingerprint({ members, ssh }: Configuration, name: string): string {
  const { mailbox, hostKey, bandwidth } = members.get(name) ?? {};
  return JSON.stringify([mailbox, hostKey, bandwidth, ssh]);
}

/** What a follower's shipper depends on: its lease, and how far it has shipped, are of an epoch. */
export function shipperFingerprint({ configuration, epoch }: ShipperPlan, name: string): string {
  return JSON.stringify([
    epoch,
    connectionFingerprint(configuration, name),
    configuration.journal.ship,
    configuration.timeZone,
  ]);
}

export function sameDatabases(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([name, path]) => b.get(name) === path);
}

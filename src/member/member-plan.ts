/** What a member should be doing by its configuration and the databases that there are: what it does is made to meet this. */
import { type Configuration, FOLLOWS_OPERATIONAL, type MemberConfiguration } from "../config/configuration.ts";

export interface MemberPlan {
  readonly configuration: Configuration;
  readonly self: MemberConfiguration;
  /** Files of the databases that are to be served, by name. */
  readonly databases: ReadonlyMap<string, string>;
  /** Whom this member follows; null on the operational member. */
  readonly upstream: string | null;
  /** The members that follow this one. */
  readonly followers: readonly string[];
}

/** The member that `member` follows by the configuration. */
export function upstreamOf(configuration: Configuration, member: MemberConfiguration): string | null {
  if (member.name === configuration.operational) return null;
  return member.follows === FOLLOWS_OPERATIONAL ? configuration.operational : member.follows;
}

/** The members whose upstream `name` is. */
export function followersOf(configuration: Configuration, name: string): string[] {
  return [...configuration.members.values()]
    .filter((member) => upstreamOf(configuration, member) === name)
    .map((member) => member.name);
}

/** What the connection to a member's mailbox depends on: with another one of it a new connection is needed. */
export function connectionFingerprint({ members, ssh }: Configuration, name: string): string {
  const { mailbox, hostKey, bandwidth } = members.get(name) ?? {};
  return JSON.stringify([mailbox, hostKey, bandwidth, ssh]);
}

/** What a follower's shipper depends on. */
export function shipperFingerprint(configuration: Configuration, name: string): string {
  return JSON.stringify([
    connectionFingerprint(configuration, name),
    configuration.journal.ship,
    configuration.timeZone,
  ]);
}

export function sameDatabases(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([name, path]) => b.get(name) === path);
}

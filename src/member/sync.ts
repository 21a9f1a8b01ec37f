/**
 * Waiting until mirrors have what was committed: for a script, or an application that wants a commit to be safe elsewhere
 * before it goes on.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { FollowerStatus } from "../status/member-status.ts";
import type { SyncedMember, SyncOptions } from "./journal-results.ts";
import { MemberError } from "./member-error.ts";

const POLL_MS = 25;
const DEFAULT_TIMEOUT_MS = 5_000;

export interface SyncSource {
  /** Every member that is to be waited for when none is named. */
  readonly followers: readonly string[];
  /** The end of each database's journal, which holds everything that is to be waited for: 16 hexadecimal digits. */
  readonly ends: ReadonlyMap<string, string>;
  /** The databases that a member holds; null when there is no such member. */
  databasesOf(member: string): readonly string[] | null;
  /** What is known now of a member behind this one. */
  known(member: string): FollowerStatus | undefined;
}

/**
 * Resolves once all members have integrated the ends of the journals.
 * @throws MemberError SYNC_TIMEOUT, which says who has how much; FOLLOWER_UNKNOWN.
 */
export async function waitForMembers(source: SyncSource, options: SyncOptions): Promise<SyncedMember[]> {
  const members = options.members ?? source.followers;
  const deadlineMs = performance.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const targets = members.map((member) => ({ member, databases: heldBy(source, member) }));
  for (;;) {
    const states = targets.flatMap(({ member, databases }) => databases.map((name) => stateOf(source, member, name)));
    const late = states.filter(({ reached }) => !reached);
    if (late.length === 0) return states.map(({ reached: _, ...state }) => state);
    if (performance.now() >= deadlineMs) throw timedOut(late, source);
    await delay(POLL_MS);
  }
}

function heldBy(source: SyncSource, member: string): readonly string[] {
  const databases = source.databasesOf(member);
  if (databases !== null) return databases.filter((name) => source.ends.has(name));
  throw new MemberError("FOLLOWER_UNKNOWN", `no member ${member} follows this one`, {
    hint: `The members behind this one are: ${source.followers.join(", ")}.`,
  });
}

function stateOf(source: SyncSource, member: string, database: string): SyncedMember & { readonly reached: boolean } {
  const integrated = source.known(member)?.databases[database]?.integrated ?? null;
  const end = source.ends.get(database) ?? "";
  return { member, database, integrated, reached: integrated !== null && integrated >= end };
}

function timedOut(late: readonly SyncedMember[], source: SyncSource): MemberError {
  const positions = late.map(({ member, database, integrated }) => {
    const known = integrated === null ? "nothing is known" : `at ${integrated}`;
    return `${member}, ${database}: ${known} of ${source.ends.get(database)}`;
  });
  return new MemberError("SYNC_TIMEOUT", `not everywhere in time: ${positions.join("; ")}`, {
    hint: "Nothing is lost: it goes on being shipped. Look at `afterimage status` for a member that cannot be reached.",
  });
}

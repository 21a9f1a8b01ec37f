/** Members as the page knows them, of which a test says only what matters to it. */
import type { KnownMember } from "../../src/page/member-ages.ts";
import { type FollowerStatus, type MemberStatus, memberStatusSchema } from "../../src/status/member-status.ts";
import { mirrorFacts } from "../http/health-facts.ts";

type Status = Readonly<Record<string, unknown>>;

const RECEIPT = {
  shipped: "000000000000002a",
  received: "000000000000002a",
  integrated: "000000000000002a",
  lagTransactions: 0,
  lagSeconds: 0,
  unreceivedSeconds: 0,
};

/** What a member says of one behind it. */
export function receipts(overrides: Status = {}, follower: Status = {}): FollowerStatus {
  const document = { reachable: true, heartbeat: "2026-03-01T12:00:00.000Z", error: null, ...follower };
  const databases = { shop: { ...RECEIPT, ...overrides } };
  const { followers } = statusOf({ followers: { other: { ...document, databases } } });
  const { other } = followers;
  if (other === undefined) throw new Error("the schema has lost a follower");
  return other;
}

/** porto, a mirror of lisbon, but for what is said. @param database of `shop`. */
export function statusOf(overrides: Status = {}, database: Status = {}): MemberStatus {
  const { status } = mirrorFacts({ databases: { shop: { receivedStaleSeconds: 1, ...database } } });
  return memberStatusSchema.parse({ ...status, ...overrides });
}

export function lisbonOf(overrides: Status = {}, database: Status = {}): MemberStatus {
  const own = { role: "operational", state: "operational", follows: null, member: "lisbon", upstreamAgeSeconds: 0 };
  const fresh = { staleSeconds: 0, receivedStaleSeconds: 0, fenced: false };
  return statusOf({ ...own, followers: { porto: receipts() }, ...overrides }, { ...fresh, ...database });
}

export function known(status: MemberStatus, newsSeconds: number | null = 0): KnownMember {
  return { status, newsSeconds };
}

export function silent(status: MemberStatus): MemberStatus {
  return { ...status, reachable: false, state: "down" };
}

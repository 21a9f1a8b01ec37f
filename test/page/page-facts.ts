/** Members as the page knows them, of which a test says only what matters to it. */
import type { PageFacts } from "../../src/page/build-page-view.ts";
import type { KnownMember } from "../../src/page/member-ages.ts";
import { PageSamples } from "../../src/page/page-samples.ts";
import { type FollowerStatus, type MemberStatus, memberStatusSchema } from "../../src/status/member-status.ts";
import { mirrorFacts } from "../http/health-facts.ts";

type Status = Readonly<Record<string, unknown>>;

const CONTINUOUS = { kind: "continuous" } as const;

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

/** What the page of a member is put together from, with nothing in it but the members. */
export function pageFacts(self: MemberStatus, members: readonly KnownMember[]): PageFacts {
  const samples = new PageSamples(self.member);
  const history = samples.history([self.member], 3_600_000, 0);
  return {
    ...{ self, history, known: members, version: "1.2.3", flows: samples.flows, nowMs: 0 },
    ...{ totals: { segments: 3, snapshots: 1, bytes: 9 }, backups: new Map(), events: [] },
    journal: {
      ...{ rotate: CONTINUOUS, ship: CONTINUOUS, minIntervalMs: 50, maxSegmentBytes: 1, retentionMs: 1000 },
      ...{ giveUpAfterMs: 2000, maxBytes: null, minFreeBytes: null, snapshot: null, verify: null, deepVerify: null },
    },
    backup: { schedule: null, directory: "/b", keep: 7, keepForMs: null, check: "full", allowOperational: false },
  };
}

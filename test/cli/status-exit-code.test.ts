import { expect, test } from "vitest";
import { statusExitCode } from "../../src/cli/status-exit-code.ts";
import type { DatabaseStatus, ErrorView, FollowerStatus, MemberStatus } from "../../src/status/member-status.ts";

const AT = "2026-03-01T12:00:00.000Z";

function error(code: string): ErrorView {
  return { code, message: "it is so", hint: null, since: AT };
}

function database(more: Partial<DatabaseStatus> = {}): DatabaseStatus {
  return {
    operational: null,
    received: null,
    integrated: null,
    lagTransactions: null,
    lagSeconds: null,
    paused: false,
    hold: null,
    progress: null,
    fenced: false,
    pageSize: null,
    pageCount: null,
    walBytes: null,
    wants: null,
    heldBy: null,
    quarantined: 0,
    verified: null,
    error: null,
    warnings: [],
    ...more,
  };
}

function follower(more: Partial<FollowerStatus> = {}): FollowerStatus {
  return { via: null, reachable: true, heartbeat: AT, error: null, databases: {}, ...more };
}

function member(name: string, more: Partial<MemberStatus> = {}): MemberStatus {
  return {
    version: 1,
    mirror: "clinic",
    member: name,
    role: "mirror",
    type: "failover",
    state: "connected",
    follows: null,
    epoch: 1,
    heartbeat: AT,
    reachable: true,
    databases: { patients: database() },
    followers: {},
    errors: [],
    history: [],
    journal: null,
    ...more,
  };
}

function code(...members: MemberStatus[]): number {
  return statusExitCode({ mirror: "clinic", answeredBy: "lisbon", members });
}

const LISBON = member("lisbon");
const PORTO = member("porto");
const LOST = { reachable: false, state: "unknown" } as const;

test("0: all live and nothing is wrong; a warning is not an error", () => {
  expect(code(LISBON, PORTO)).toBe(0);
  expect(code(LISBON)).toBe(0);
  const warned = { patients: database({ warnings: [error("WAL_NOT_SHORTENED")] }) };
  expect(code(member("lisbon", { databases: warned }), PORTO)).toBe(0);
});

test("0: a sister that only the hub can reach counts as seen", () => {
  const hub = member("porto", { followers: { faro: follower() } });
  expect(code(LISBON, hub, member("faro", LOST))).toBe(0);
  expect(code(LISBON, { ...hub, ...LOST }, member("faro"))).toBe(1);
});

test.for([
  ["of the member", { errors: [error("DATABASES_UNREADABLE")] }],
  ["of a database", { databases: { patients: database({ error: error("CAPTURE_STALLED") }) } }],
  ["of a follower", { followers: { porto: follower({ error: error("LEASE_HELD") }) } }],
] satisfies [string, Partial<MemberStatus>][])("1: an error %s is shown", ([_, more]) => {
  expect(code(member("lisbon", more), PORTO)).toBe(1);
  expect(code(LISBON, member("porto", more))).toBe(1);
});

test("1: a member is down, this one as well", () => {
  expect(code(LISBON, PORTO, member("faro", { state: "down", reachable: false }))).toBe(1);
  expect(code(member("lisbon", { state: "down", reachable: false }), PORTO)).toBe(1);
});

test("6: nobody else can be reached, whatever the followers' errors are", () => {
  const unreachable = { followers: { porto: follower({ reachable: false, error: error("CONNECTION_REFUSED") }) } };
  expect(code(member("lisbon", unreachable), member("porto", LOST), member("faro", LOST))).toBe(6);
});

test.for([
  ["is inconsistent", { state: "inconsistent" }],
  ["differs from its journal", { databases: { patients: database({ verified: { time: AT, ok: false, txid: "0" } }) } }],
  ["must be rebuilt", { databases: { patients: database({ error: error("PAGE_SIZE_CHANGED") }) } }],
  ["is of an earlier epoch", { followers: { porto: follower({ error: error("LEASE_EPOCH") }) } }],
] satisfies [string, Partial<MemberStatus>][])("5: a copy %s, also when somebody is down", ([_, more]) => {
  expect(code(LISBON, member("porto", more))).toBe(5);
  expect(code(member("lisbon", more), member("porto", LOST))).toBe(5);
});

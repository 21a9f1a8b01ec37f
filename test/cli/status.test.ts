import { expect, test } from "vitest";
import { statusLines } from "../../src/cli/status.ts";
import type { DatabaseStatus, MemberStatus } from "../../src/status/member-status.ts";

const AT = "2026-03-01T12:00:00.000Z";

function database(txid: string, more: Partial<DatabaseStatus> = {}): DatabaseStatus {
  const position = { epoch: 3, txid: txid.padStart(16, "0"), checksum: "8".padEnd(16, "0"), time: AT };
  const known = { operational: position, received: position, integrated: position, lagTransactions: 0, lagSeconds: 0 };
  const sizes = { pageSize: 4096, pageCount: 2, walBytes: 0, heldBy: null, quarantined: 0 };
  return {
    ...known,
    ...sizes,
    paused: false,
    hold: null,
    progress: null,
    fenced: true,
    wants: null,
    verified: null,
    error: null,
    warnings: [],
    ...more,
  };
}

function member(name: string, follows: string | null, more: Partial<MemberStatus> = {}): MemberStatus {
  const role = follows === null ? "operational" : "mirror";
  const state = follows === null ? "operational" : "connected";
  const base = {
    version: 1 as const,
    mirror: "clinic",
    type: "failover" as const,
    epoch: 3,
    heartbeat: AT,
    reachable: true,
  };
  return {
    ...base,
    member: name,
    follows,
    role,
    state,
    databases: { shop: database("a") },
    followers: {},
    errors: [],
    history: [],
    journal: null,
    ...more,
  };
}

function lines(...members: MemberStatus[]): string[] {
  return statusLines({ mirror: "clinic", answeredBy: "porto", members });
}

test("members stand under the one that they follow, whatever their order", () => {
  const shown = lines(
    member("faro", "porto"),
    member("coimbra", "lisbon"),
    member("lisbon", null),
    member("porto", "lisbon"),
  );
  expect(shown.slice(2).map((line) => line.split(/ (?=mirror|operational)/)[0]?.trimEnd())).toEqual([
    "lisbon",
    "  coimbra",
    "  porto",
    "    faro",
  ]);
});

test("a member with several databases has a line for each; one that is not reached has dashes", () => {
  const late = database("9", { integrated: null, lagTransactions: 7, lagSeconds: 12.34 });
  const unknown = { role: null, state: "unknown", epoch: null, follows: null, databases: {} } as const;
  expect(
    lines(
      member("lisbon", null, { databases: { billing: late, shop: database("a") } }),
      member("evora", null, unknown),
    ),
  ).toEqual([
    "Mirror set clinic, as porto sees it",
    "Member  Role         State        Epoch  Database  Received          Integrated        Lag tx  Lag s",
    "lisbon  operational  operational      3  billing   0000000000000009  -                      7   12.3",
    "                                         shop      000000000000000a  000000000000000a       0    0.0",
    "evora   -            unknown          -  -         -                 -                      -      -",
  ]);
});

test("what is wrong is said below the table, with what to do", () => {
  const error = { code: "SEGMENT_GAP", message: "transaction 4 is missing", hint: "wait", since: AT };
  const unreachable = { code: "UNREACHABLE", message: "no route", hint: null, since: AT };
  const follower = { via: null, reachable: false, heartbeat: null, error: unreachable, databases: {} };
  const shown = lines(
    member("lisbon", null, { followers: { porto: follower } }),
    member("porto", "lisbon", { type: "dr", databases: { shop: database("3", { error }) } }),
  );
  expect(shown[3]).toMatch(/^ {2}porto {2}mirror \(dr\) /);
  expect(shown.slice(4)).toEqual([
    `lisbon -> porto: error UNREACHABLE: no route (since ${AT})`,
    `porto/shop: error SEGMENT_GAP: transaction 4 is missing (since ${AT})`,
    "  next: wait",
  ]);
});

test("integration that waits for a backup is said, and is no error", () => {
  const databases = { shop: database("3", { heldBy: "backup (process 7, since then)" }) };
  const shown = lines(member("lisbon", null), member("porto", "lisbon", { databases }));
  expect(shown.slice(4)).toEqual(["porto/shop: paused by backup (process 7, since then)"]);
});

test("members that say that they follow each other are all shown", () => {
  const shown = lines(member("a", "b"), member("b", "a"));
  expect(shown.slice(2).map((line) => line.trim().slice(0, 1))).toEqual(["a", "b"]);
});

test("a verification that failed is said with what to do, one that went well is not", () => {
  const failed = { time: AT, ok: false, txid: "a".padStart(16, "0") };
  const databases = { shop: database("a", { verified: failed }) };
  const shown = lines(member("lisbon", null), member("porto", "lisbon", { databases }));
  expect(shown.filter((line) => line.includes("VERIFICATION_FAILED"))).toEqual([
    `porto/shop: error VERIFICATION_FAILED: it was not what its journal says (at ${AT})`,
  ]);
  expect(shown.at(-1)).toContain("afterimage verify");
  const well = { shop: database("a", { verified: { ...failed, ok: true } }) };
  expect(lines(member("porto", "lisbon", { databases: well })).join("\n")).not.toContain("VERIF");
});

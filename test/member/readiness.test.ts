import { expect, test } from "vitest";
import { possibleLosses } from "../../src/member/possible-losses.ts";
import { isReady, promotionChecks, type ReadinessFacts, switchoverChecks } from "../../src/member/readiness.ts";
import type { DatabaseStatus, MemberStatus, PositionView } from "../../src/status/member-status.ts";

const AT = "2026-01-01T00:00:00.000Z";
const NOW_MS = Date.parse(AT) + 60_000;

function position(txid: number, time = AT): PositionView {
  return { epoch: 1, txid: txid.toString(16).padStart(16, "0"), checksum: "80000000000000aa", time };
}

function database(txid: number, changes: Partial<DatabaseStatus> = {}): DatabaseStatus {
  return {
    operational: position(txid),
    received: position(txid),
    integrated: position(txid),
    lagTransactions: 0,
    lagSeconds: 0,
    paused: false,
    hold: null,
    progress: null,
    fenced: true,
    pageSize: 4096,
    pageCount: 8,
    walBytes: 0,
    wants: null,
    heldBy: null,
    quarantined: 0,
    verified: null,
    error: null,
    warnings: [],
    ...changes,
  };
}

function member(name: string, changes: Partial<MemberStatus> = {}): MemberStatus {
  return {
    version: 1,
    mirror: "clinic",
    member: name,
    role: "mirror",
    type: "failover",
    state: "connected",
    follows: "lisbon",
    epoch: 1,
    heartbeat: AT,
    reachable: true,
    databases: { shop: database(9) },
    followers: {},
    errors: [],
    history: [],
    journal: {
      bytes: 1,
      maxBytes: 100,
      freeBytes: 8 * 2 ** 30,
      minFreeBytes: 2 ** 30,
      oldest: AT,
      shortages: [],
      givenUp: [],
    },
    ...changes,
  };
}

const RECEIPT = { via: null, reachable: true, heartbeat: AT, error: null, databases: {} };
const LISBON = member("lisbon", {
  role: "operational",
  state: "operational",
  follows: null,
  followers: { porto: RECEIPT },
  databases: { shop: database(9, { fenced: false }) },
});

function facts(target: Partial<MemberStatus> = {}, more: Partial<ReadinessFacts> = {}): ReadinessFacts {
  return { target: member("porto", target), operational: LISBON, others: [], integratesLate: false, ...more };
}

/** Checks that are not OK, as `level check`. */
function wrong(checks: ReturnType<typeof switchoverChecks>): string[] {
  return checks.filter(({ level }) => level !== "OK").map(({ level, check }) => `${level} ${check}`);
}

test("a mirror at the end of the journal is ready for both", () => {
  expect(wrong(switchoverChecks(facts()))).toEqual([]);
  expect(isReady(switchoverChecks(facts()))).toBe(true);
  expect(wrong(promotionChecks(facts()))).toEqual([]);
});

test("each thing that is in the way of a switchover is named", () => {
  const error = { code: "MIRROR_INCONSISTENT", message: "changed", hint: "rebuild", since: AT };
  const hold = (by: "operator" | "delay") => ({ hold: { by, message: "held" } });
  const cases: Readonly<Record<string, ReadinessFacts>> = {
    "FAIL type of porto": facts({ type: "reporting" }),
    "FAIL role of porto": facts({ role: "operational" }),
    "FAIL daemon of porto": facts({ reachable: false, state: "down" }),
    "FAIL daemon of lisbon": facts({}, { operational: { ...LISBON, reachable: false, state: "down" } }),
    "FAIL operational member": facts({}, { operational: null }),
    "FAIL integration of porto": facts({}, { integratesLate: true }),
    "FAIL database shop of lisbon": facts({}, { operational: { ...LISBON, databases: { shop: database(9) } } }),
    "FAIL epoch": facts({ epoch: 4 }),
    "FAIL mailbox of porto": facts({}, { operational: { ...LISBON, followers: { porto: { ...RECEIPT, error } } } }),
    "FAIL state of porto": facts({ errors: [error] }),
    "FAIL hooks of porto": facts({ hookFaults: ["afterPromote: /x is not there"] }),
    "FAIL free space of porto": facts({ journal: { ...journalOf(LISBON), shortages: ["DISK_LOW"] } }),
    "FAIL database shop": facts({ databases: {} }),
    "WARN free space of porto": facts({ journal: { ...journalOf(LISBON), freeBytes: 1.5 * 2 ** 30 } }),
    "WARN database shop": facts({ databases: { shop: database(9, { quarantined: 2 }) } }),
    "WARN clock of lisbon": facts(
      {},
      { clocks: new Map([["lisbon", { writtenMs: NOW_MS + 3_600_000, beforeMs: NOW_MS, afterMs: NOW_MS + 200 }]]) },
    ),
  };
  const found = Object.values(cases).map((each) => wrong(switchoverChecks(each)));
  const name = ([only]: string[]) => only;
  expect(found.map(name)).toEqual(Object.keys(cases));
  for (const [expected, each] of Object.entries(cases)) {
    expect([expected, isReady(switchoverChecks(each))]).toEqual([expected, expected.startsWith("WARN")]);
  }
  const databases: DatabaseStatus[] = [
    database(9, { integrated: null }),
    database(9, { error }),
    database(9, hold("operator")),
    database(9, hold("delay")),
    database(9, { heldBy: "backup (process 1)" }),
    database(9, { lagTransactions: 5, lagSeconds: 300 }),
    database(9, { lagTransactions: 5, lagSeconds: 1 }),
  ];
  const levels = databases.map((shop) => wrong(switchoverChecks(facts({ databases: { shop } }))));
  expect(levels).toEqual([...Array(5).fill(["FAIL database shop"]), ["WARN database shop"], []]);
});

function journalOf({ journal }: MemberStatus) {
  if (journal === null) throw new Error("no journal");
  return journal;
}

test("who gave its role up hands over to nobody, and may be promoted, as others may", () => {
  const errors = [{ code: "DEMOTED", message: "given up", hint: null, since: AT }];
  const lisbon = { ...LISBON, role: "mirror" as const, state: "fenced" as const, errors };
  expect(wrong(switchoverChecks(facts({}, { operational: lisbon })))).toEqual(["FAIL operational member"]);
  expect(wrong(promotionChecks(facts({}, { operational: lisbon })))).toEqual([]);
  expect(wrong(promotionChecks(facts(lisbon, { operational: null })))).toEqual([]);
  expect(wrong(switchoverChecks(facts(lisbon, { operational: lisbon })))[0]).toBe("FAIL role of lisbon");
});

test("a promotion integrates what waits for a delay, and what an operator has held back is in its way", () => {
  const held = (by: "operator" | "delay" | "window") => database(9, { hold: { by, message: "held" } });
  const levels = (["operator", "delay", "window"] as const).map((by) =>
    wrong(promotionChecks(facts({ databases: { shop: held(by) } }))),
  );
  expect(levels).toEqual([["FAIL database shop"], ["WARN database shop"], ["WARN database shop"]]);
});

test("what a promotion would lose is counted against the newest end that anybody has told of", () => {
  const shop = database(9, { operational: position(12, "2026-01-01T00:00:10.000Z") });
  const operational = {
    ...LISBON,
    reachable: false,
    databases: { shop: database(15, { received: position(15, "2026-01-01T00:00:20.000Z") }) },
  };
  expect(possibleLosses(facts({ databases: { shop } }, { operational }), NOW_MS)).toEqual([
    {
      database: "shop",
      received: "1:0000000000000009:80000000000000aa",
      time: AT,
      ageSeconds: 60,
      transactions: 6,
      seconds: 20,
      ahead: [],
    },
  ]);
  expect(possibleLosses(facts({ databases: { shop } }, { operational: null }), NOW_MS)).toMatchObject([
    { transactions: 3, seconds: 10 },
  ]);
});

test("another mirror that has more gives it first, or is in the way of a promotion; a reporting one is neither", () => {
  const faro = member("faro", { databases: { shop: database(11) } });
  const ahead = facts({}, { others: [faro] });
  expect(wrong(promotionChecks(ahead))).toEqual(["WARN database shop"]);
  const lost = facts({}, { others: [{ ...faro, reachable: false }] });
  expect(wrong(promotionChecks(lost))).toEqual(["FAIL database shop", "WARN other members"]);
  expect(possibleLosses(ahead, NOW_MS)).toMatchObject([{ ahead: [{ member: "faro", transactions: 2 }] }]);
  expect(wrong(promotionChecks(facts({}, { others: [{ ...faro, type: "reporting" }] })))).toEqual([]);
  expect(wrong(promotionChecks(facts({}, { others: [member("faro", { reachable: false })] })))).toEqual([
    "WARN other members",
  ]);
});

/** `afterimage check`, by what members say: each thing that can be wrong is found, and nothing else is. */
import { expect, test } from "vitest";
import { checkSet } from "../../src/runbook/check-set.ts";
import type { SetFacts } from "../../src/runbook/set-facts.ts";
import type { MemberStatus } from "../../src/status/member-status.ts";
import { anError, mirrorFacts, type Overrides, operationalFacts } from "../http/health-facts.ts";

const NOW = Date.parse("2026-03-01T12:00:05.000Z");
const DAY_S = 86_400;
const END = { epoch: 3, txid: "000000000000002a", checksum: "8000000000000000", time: "2026-03-01T12:00:00.000Z" };
const RUN = { instance: "i", start: 1, session: "s", beat: 1 };
const LIMITS = { warn: 60, fail: 300 };
const JOURNAL = {
  bytes: 100,
  maxBytes: 1000,
  freeBytes: 5000,
  minFreeBytes: 1000,
  oldest: null,
  shortages: [],
  givenUp: [],
};
const RECEIPT = { shipped: END.txid, received: END.txid, integrated: END.txid, lagTransactions: 0, lagSeconds: 0 };

function follower(receipt: object = {}) {
  return {
    via: null,
    reachable: true,
    heartbeat: END.time,
    error: null,
    databases: { shop: { ...RECEIPT, ...receipt } },
  };
}

function lisbon(overrides: Overrides = {}): MemberStatus {
  const { databases = { shop: {} }, status = {} } = overrides;
  const followers = { porto: follower(), faro: follower() };
  return operationalFacts({
    databases: Object.fromEntries(
      Object.entries(databases).map(([name, each]) => [name, { received: END, fenced: false, ...each }]),
    ),
    status: { member: "lisbon", run: RUN, followers, ...status },
  }).status;
}

function mirror(member: string, { databases = { shop: {} }, status = {} }: Overrides = {}): MemberStatus {
  const copies = Object.entries(databases).map(([name, each]) => [
    name,
    { operational: END, received: END, integrated: END, ...each },
  ]);
  return mirrorFacts({ databases: Object.fromEntries(copies), status: { member, run: RUN, ...status } }).status;
}

function facts(
  members: readonly MemberStatus[],
  more: Partial<SetFacts> = {},
  limits: Partial<SetFacts["limits"]> = {},
): SetFacts {
  const all = new Map(members.map(({ member }) => [member, LIMITS]));
  return {
    status: { mirror: "clinic", answeredBy: "porto", members },
    limits: { receivedSeconds: all, integratedSeconds: all, verifiedSeconds: null, backupSeconds: null, ...limits },
    backups: new Map(),
    nowMs: NOW,
    ...more,
  };
}

/** What is wrong, as `LEVEL check`. */
function wrong(given: SetFacts): string[] {
  return checkSet(given).flatMap(({ level, check, hint }) => {
    if (level === "OK") return [];
    expect(hint).toMatch(/\w/);
    return `${level} ${check}`;
  });
}

const LOST = { reachable: false, state: "unknown" } as const;

test("a set in which all is well has nothing that is wrong, and says what was looked at", () => {
  const results = checkSet(facts([lisbon(), mirror("porto"), mirror("faro")]));
  expect(results.filter(({ level }) => level !== "OK")).toEqual([]);
  expect(results.slice(0, 4).map(({ check, message }) => `${check}: ${message}`)).toEqual([
    "operational member: lisbon, in epoch 3",
    "epochs: 3",
    "topology: porto, faro could be promoted",
    "receipts: what was cut is on porto, faro",
  ]);
});

const SHOP_BEHIND = { ...END, txid: "0000000000000020" };

test.for([
  ["nobody is operational", [mirror("porto"), mirror("faro")], ["FAIL operational member", "WARN receipts"]],
  [
    "the operational member is lost",
    [lisbon({ status: LOST }), mirror("porto")],
    ["FAIL operational member", "FAIL daemon of lisbon"],
  ],
  [
    "two claim one epoch",
    [lisbon(), lisbon({ status: { member: "evora" } }), mirror("porto")],
    ["FAIL operational member"],
  ],
  [
    "the operational member gave its role up",
    [lisbon({ status: { errors: [anError("DEMOTED")], state: "fenced" } }), mirror("porto")],
    ["FAIL operational member", "FAIL state of lisbon"],
  ],
  ["it is fenced", [lisbon({ status: { state: "fenced" } }), mirror("porto")], ["FAIL operational member"]],
  [
    "a member is of an earlier epoch",
    [lisbon(), mirror("porto"), mirror("faro", { status: { epoch: 2 } })],
    ["FAIL epochs"],
  ],
  [
    "the only mirror that could be promoted is inconsistent",
    [
      lisbon(),
      mirror("porto", { status: { state: "inconsistent" } }),
      mirror("faro", { status: { type: "reporting" } }),
    ],
    ["FAIL topology"],
  ],
  [
    "a mirror does not run, which its sister sees no other way",
    [
      lisbon({ status: { followers: { porto: follower(), faro: { ...follower(), reachable: false } } } }),
      mirror("porto"),
      mirror("faro", { status: LOST }),
    ],
    ["FAIL daemon of faro"],
  ],
  [
    "nothing is proved to be anywhere else",
    [
      lisbon({ status: { followers: { porto: follower({ received: "0000000000000020", lagSeconds: 400 }) } } }),
      mirror("porto", {
        databases: { shop: { operational: END, received: SHOP_BEHIND, staleSeconds: 390 } },
        status: { upstreamAgeSeconds: 380 },
      }),
    ],
    ["FAIL receipts", "FAIL received lag of porto", "FAIL integrated lag of porto"],
  ],
  [
    "a mirror hears nothing for a while",
    [lisbon(), mirror("porto", { status: { upstreamAgeSeconds: 70, state: "waiting" } })],
    ["WARN received lag of porto"],
  ],
  [
    "how old a copy is, is not proved",
    [lisbon(), mirror("porto", { databases: { shop: { staleSeconds: null } } })],
    ["WARN integrated lag of porto"],
  ],
  [
    "integration is paused",
    [lisbon(), mirror("porto", { databases: { shop: { paused: true, hold: { by: "operator", message: "paused" } } } })],
    ["WARN integrated lag of porto"],
  ],
  [
    "a database is missing on a mirror",
    [
      lisbon({ databases: { shop: {}, stock: {} } }),
      mirror("porto", { databases: { shop: {}, stock: {} } }),
      mirror("faro"),
    ],
    ["WARN receipts", "FAIL databases of faro"],
  ],
  [
    "a mirror waits for its first snapshot",
    [
      lisbon(),
      mirror("porto"),
      mirror("faro", { databases: { shop: { received: null, integrated: null, staleSeconds: null } } }),
    ],
    ["WARN databases of faro", "WARN received lag of faro", "WARN integrated lag of faro"],
  ],
  [
    "files are in quarantine",
    [lisbon(), mirror("porto", { databases: { shop: { quarantined: 2 } } })],
    ["WARN quarantine of porto"],
  ],
  [
    "a database has an error, and a warning",
    [
      lisbon(),
      mirror("porto", { databases: { shop: { error: anError("DISK_FULL"), warnings: [anError("REJOINING")] } } }),
    ],
    ["FAIL state of porto", "WARN state of porto"],
  ],
  [
    "a verification failed",
    [lisbon(), mirror("porto", { databases: { shop: { verified: { time: END.time, ok: false, txid: END.txid } } } })],
    ["FAIL verification of porto"],
  ],
  [
    "the disk fills up",
    [lisbon({ status: { journal: { ...JOURNAL, freeBytes: 900 } } }), mirror("porto")],
    ["FAIL space of lisbon"],
  ],
  [
    "the journal is near its limit, and a member was given up",
    [
      lisbon({ status: { journal: { ...JOURNAL, bytes: 950, givenUp: [{ member: "evora", database: "shop" }] } } }),
      mirror("porto"),
    ],
    ["WARN space of lisbon", "WARN space of lisbon"],
  ],
] satisfies [string, MemberStatus[], string[]][])("%s", ([_, members, expected]) => {
  expect(wrong(facts(members))).toEqual(expected);
});

test("a mirror that is late on purpose is judged beyond that, and one by schedule not at all", () => {
  const late = [lisbon(), mirror("porto", { databases: { shop: { staleSeconds: 3620 } } })];
  expect(wrong(facts(late))).toEqual(["FAIL integrated lag of porto"]);
  const beyond = new Map([["porto", { warn: 3660, fail: 3900 }]]);
  expect(wrong(facts(late, {}, { integratedSeconds: beyond }))).toEqual([]);
  expect(wrong(facts(late, {}, { integratedSeconds: new Map([["porto", null]]) }))).toEqual([]);
});

test("one commit after a long silence is no lag: what is proved of the copy bounds it", () => {
  const idle = { ...SHOP_BEHIND, time: "2026-02-20T12:00:00.000Z" };
  const followers = { porto: follower({ received: idle.txid, integrated: idle.txid, lagSeconds: 1 }) };
  const porto = mirror("porto", { databases: { shop: { received: idle, integrated: idle, staleSeconds: 2 } } });
  expect(wrong(facts([lisbon({ status: { followers } }), porto]))).toEqual([]);
});

test("what a member proves of what it has received counts before what follows from the rest", () => {
  const behind = { operational: END, received: SHOP_BEHIND, staleSeconds: 3600, receivedStaleSeconds: 2 };
  const followers = { porto: follower({ received: SHOP_BEHIND.txid, lagSeconds: 3600, unreceivedSeconds: 1 }) };
  const set = [lisbon({ status: { followers } }), mirror("porto", { databases: { shop: behind } })];
  const late = { integratedSeconds: new Map([["porto", null]]) };
  expect(wrong(facts(set, {}, late))).toEqual([]);
  const worse = mirror("porto", { databases: { shop: { ...behind, receivedStaleSeconds: 70 } } });
  expect(wrong(facts([lisbon({ status: { followers } }), worse], {}, late))).toEqual(["WARN received lag of porto"]);
});

test("verifications and backups are judged by their schedules", () => {
  const verified = (days: number) => ({
    time: new Date(NOW - days * DAY_S * 1000).toISOString(),
    ok: true,
    txid: END.txid,
  });
  const set = (days: number) => [
    lisbon({ databases: { shop: { verified: verified(1) } } }),
    mirror("porto", { databases: { shop: { verified: verified(days) } } }),
  ];
  const limits = { verifiedSeconds: 11 * DAY_S, backupSeconds: 2 * DAY_S };
  const backups = (days: number) => ({ backups: new Map([["shop", NOW - days * DAY_S * 1000]]) });
  expect(wrong(facts(set(10), backups(1), limits))).toEqual([]);
  expect(wrong(facts(set(12), backups(1), limits))).toEqual(["WARN verification of porto"]);
  expect(wrong(facts(set(10), backups(3), limits))).toEqual(["FAIL backups of porto"]);
  expect(wrong(facts(set(10), {}, limits))).toEqual(["FAIL backups of porto"]);
});

test("without a daemon the member that looks does not take itself for alive", () => {
  expect(wrong(facts([lisbon(), mirror("porto", { status: { run: null } })]))).toEqual(["FAIL daemon of porto"]);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import type { AlertCode } from "../../src/alerts/alert-catalogue.ts";
import { CLEAR_AFTER_MS, judge } from "../../src/alerts/alert-register.ts";
import { type AlertFacts, type Finding, findings } from "../../src/alerts/alert-rules.ts";
import { alertConfiguration } from "../../src/config/alert-configuration.ts";
import { selectMember } from "../../src/config/configuration.ts";
import { parseConfiguration } from "../../src/config/load-configuration.ts";
import { anError, mirrorFacts, type Overrides, operationalFacts } from "../http/health-facts.ts";

const NOW = Date.parse("2026-03-01T13:00:00.000Z");
const MIB = 2 ** 20;

function thresholdsOf(alerts: object = {}, journal: object = {}, member: object = {}) {
  const entry = (name: string) => ({
    ...{ mailbox: `file:///m/${name}`, state: `/s/${name}`, databases: { shop: `/d/${name}.db` } },
    ...(name === "porto" ? member : {}),
  });
  const members = { lisbon: entry("lisbon"), porto: entry("porto") };
  const text = stringify({ mirror: "clinic", operational: "lisbon", members, alerts, journal });
  const configuration = parseConfiguration(text, "/etc/afterimage.yaml");
  return alertConfiguration(configuration, selectMember(configuration, "porto"));
}

function facts(
  overrides: Overrides & Partial<Omit<AlertFacts, "status" | "unknownMs">> & { readonly upMs?: number } = {},
  role = "mirror",
): AlertFacts {
  const { delayMs = 0, upMs = 0, others = [], space = [], nowMs = NOW, thresholds = thresholdsOf() } = overrides;
  const { backups = { expected: [], newest: new Map(), failed: new Map() } } = overrides;
  const { status } = role === "mirror" ? mirrorFacts(overrides) : operationalFacts(overrides);
  return { status, thresholds, delayMs, others, space, backups, nowMs, unknownMs: () => upMs };
}

function stateOf(given: AlertFacts, code: AlertCode): Finding["state"] | null {
  const found = findings(given).filter((each) => each.code === code);
  expect(found.length).toBeLessThan(2);
  return found[0]?.state ?? null;
}

const receipt = { shipped: null, received: null, integrated: "000000000000002a", lagTransactions: 0 };
const journal = { maxBytes: 100 * MIB, freeBytes: 0, minFreeBytes: 0, oldest: null, shortages: [], givenUp: [] };

test("a member about which nothing is wrong has no bad findings", () => {
  expect(findings(facts()).filter(({ state }) => state !== "good")).toMatchObject([
    { code: "RECEIVED_LAG", state: "unclear" },
  ]);
  expect(findings(facts({}, "operational")).filter(({ state }) => state !== "good")).toEqual([]);
});

test.each([
  ["INTEGRATED_LAG", { databases: { shop: { staleSeconds: 601 } } }, "bad"],
  ["INTEGRATED_LAG", { databases: { shop: { staleSeconds: 500 } } }, "unclear"],
  ["INTEGRATED_LAG", { databases: { shop: { staleSeconds: 480 } } }, "good"],
  ["INTEGRATED_LAG", { databases: { shop: { staleSeconds: 3_700 } }, delayMs: 3_600_000 }, "good"],
  ["INTEGRATED_LAG", { databases: { shop: { staleSeconds: null } }, upMs: 600_000 }, "unclear"],
  ["INTEGRATED_LAG", { databases: { shop: { staleSeconds: null } }, upMs: 600_001 }, "bad"],
  ["RECEIVED_LAG", { databases: { a: { receivedStaleSeconds: 1 }, b: { receivedStaleSeconds: 301 } } }, "bad"],
  ["RECEIVED_LAG", { databases: { a: { receivedStaleSeconds: 1 } } }, "good"],
  ["UPSTREAM_SILENT", { status: { upstreamAgeSeconds: 61 } }, "bad"],
  ["UPSTREAM_SILENT", { status: { upstreamAgeSeconds: null }, upMs: 59_000 }, "unclear"],
  ["UPSTREAM_SILENT", { status: { upstreamAgeSeconds: null }, upMs: 61_000 }, "bad"],
  ["QUARANTINE", { databases: { shop: { quarantined: 1 } } }, "bad"],
  [
    "VERIFICATION_FAILED",
    { databases: { shop: { verified: { time: "2026-03-01T12:00:00Z", ok: false, txid: "0000000000000001" } } } },
    "bad",
  ],
  ["SPOOL_LARGE", { status: { journal: { ...journal, bytes: 91 * MIB } } }, "bad"],
  ["SPOOL_LARGE", { status: { journal: { ...journal, bytes: 85 * MIB } } }, "unclear"],
  ["SPOOL_LARGE", { status: { journal: { ...journal, bytes: 10 * MIB } } }, "good"],
  ["SPOOL_LARGE", { status: { journal: { ...journal, bytes: MIB, shortages: ["SPOOL_FULL"] } } }, "bad"],
  ["FREE_SPACE_LOW", { space: [{ place: "journal", freeBytes: 149, leastBytes: 100 }] }, "bad"],
  ["FREE_SPACE_LOW", { space: [{ place: "journal", freeBytes: 160, leastBytes: 100 }] }, "unclear"],
  ["FREE_SPACE_LOW", { space: [{ place: "journal", freeBytes: 165, leastBytes: 100 }] }, "good"],
  ["DATABASE_ERROR", { databases: { shop: { error: anError("DISK_LOW") } } }, "bad"],
  ["MEMBER_ERROR", { status: { errors: [anError("DEPOSED")] } }, "bad"],
] as const)("%s of a mirror with %j is %s", (code, overrides, state) => {
  expect(stateOf(facts(overrides as Overrides), code)).toBe(state);
});

const FARO = { via: null, reachable: true, heartbeat: "2026-03-01T12:59:00.000Z", error: null };

test.each([
  ["FOLLOWER_AWAY", { ...FARO, databases: {} }, 0, "good"],
  ["FOLLOWER_AWAY", { ...FARO, heartbeat: "2026-03-01T12:57:00.000Z", databases: {} }, 0, "bad"],
  ["FOLLOWER_AWAY", { ...FARO, heartbeat: null, databases: {} }, 60_000, "unclear"],
  ["FOLLOWER_AWAY", { ...FARO, heartbeat: null, databases: {} }, 121_000, "bad"],
  ["FOLLOWER_AWAY", { ...FARO, via: "porto", heartbeat: null, databases: {} }, 121_000, null],
  ["RECEIPT_OLD", { ...FARO, databases: { shop: { ...receipt, unreceivedSeconds: 301 } } }, 0, "bad"],
  ["RECEIPT_OLD", { ...FARO, databases: { shop: { ...receipt, unreceivedSeconds: null } } }, 0, "unclear"],
  ["RECEIPT_OLD", { ...FARO, databases: { shop: { ...receipt, unreceivedSeconds: 0 } } }, 0, "good"],
] as const)(
  "%s of an operational member whose follower is %j, looked at for %d ms, is %s",
  (code, faro, upMs, state) => {
    const status = { followers: { faro } };
    expect(stateOf(facts({ status, upMs }, "operational"), code)).toBe(state);
  },
);

test.each([
  ["dr", "connected", { ...FARO, databases: { shop: receipt } }, "good"],
  ["failover", "inconsistent", { ...FARO, databases: { shop: receipt } }, "bad"],
  ["failover", "connected", { ...FARO, databases: { shop: { ...receipt, integrated: null } } }, "bad"],
  ["failover", "connected", { ...FARO, reachable: false, databases: { shop: receipt } }, "bad"],
  ["reporting", "connected", { ...FARO, databases: { shop: receipt } }, null],
] as const)("with a %s mirror that says %s and has %j the topology is %s", (type, state, faro, expected) => {
  const others = [{ member: "faro", type, state }];
  expect(stateOf(facts({ status: { followers: { faro } }, others }, "operational"), "TOPOLOGY_UNSAFE")).toBe(expected);
});

test("a member that must not serve is judged by its error alone", () => {
  const status = { state: "fenced", upstreamAgeSeconds: null, followers: {}, errors: [anError("DEPOSED")] };
  const others = [{ member: "faro", type: "failover", state: "connected" }] as const;
  for (const role of ["mirror", "operational"]) {
    const bad = findings(facts({ status, others, upMs: 1e9 }, role)).filter(({ state }) => state === "bad");
    expect(bad.map(({ code }) => code)).toEqual(["MEMBER_ERROR"]);
  }
});

test("backups that are too old, that failed, and that there are not", () => {
  const of = (backups: Partial<AlertFacts["backups"]>, upMs = 0) => {
    const given = facts({ upMs, backups: { expected: ["shop"], newest: new Map(), failed: new Map(), ...backups } });
    return [stateOf(given, "BACKUP_OLD"), stateOf(given, "BACKUP_FAILED")];
  };
  const HOUR_MS = 3_600_000;
  const newest = (hours: number) => new Map([["shop", NOW - hours * HOUR_MS]]);
  const failed = new Map([["shop", { atMs: NOW - 10 * HOUR_MS, message: "no space" }]]);
  expect(of({})).toEqual(["unclear", "good"]);
  expect(of({}, 37 * HOUR_MS)).toEqual(["bad", "good"]);
  expect(of({ newest: newest(37) })).toEqual(["bad", "good"]);
  expect(of({ newest: newest(11), failed })).toEqual(["good", "bad"]);
  expect(of({ newest: newest(9), failed })).toEqual(["good", "good"]);
  expect(of({ expected: [] })).toEqual([null, null]);
});

test("a hundred databases with one error are one alert, which names some", () => {
  const error = anError("DISK_LOW");
  const databases = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`tenant${i}`, { error }]));
  const bad = findings(facts({ databases })).filter(({ state }) => state === "bad");
  expect(bad).toMatchObject([{ code: "DATABASE_ERROR", subject: "DISK_LOW", raiseAfterMs: 60_000 }]);
  expect(bad[0]?.message).toMatch(/^DISK_LOW: tenant0, tenant1, tenant2 and 97 more: /);
});

test("what is turned off, or late by a schedule of its own, is not looked at", () => {
  const all = ["receivedLag", "integratedLag", "upstreamSilent", "quarantine", "freeSpace", "spool", "errors"];
  const thresholds = thresholdsOf(Object.fromEntries(all.map((key) => [key, "off"])));
  const wrong = { status: { upstreamAgeSeconds: null, errors: [anError("DEPOSED")] }, upMs: 1e9 };
  expect(findings(facts({ ...wrong, thresholds })).filter(({ state }) => state !== "good")).toEqual([]);
  const shipped = { ship: "0 3 * * *" };
  expect(thresholdsOf({}, shipped)).toMatchObject({ receivedLagMs: null, integratedLagMs: null, receiptAgeMs: null });
  expect(thresholdsOf({ receivedLag: "26h" }, shipped).receivedLagMs).toBe(26 * 3_600_000);
  const reporting = { type: "reporting", integrate: "0 3 * * *" };
  expect(thresholdsOf({}, {}, reporting)).toMatchObject({ receivedLagMs: 300_000, integratedLagMs: null });
});

test("a member's own section comes before the set's, key by key", () => {
  const own = { alerts: { receivedLag: "1m", ping: { url: "https://ping.example/x" } } };
  const merged = thresholdsOf({ receivedLag: "2m", spool: "50%", webhook: { url: "https://hook.example" } }, {}, own);
  expect(merged).toMatchObject({ receivedLagMs: 60_000, spoolShare: 0.5, upstreamSilentMs: 60_000 });
  expect(merged.webhook).toMatchObject({ url: "https://hook.example", secret: null, timeLimitMs: 10_000 });
  expect(merged.ping).toMatchObject({ url: "https://ping.example/x", intervalMs: 60_000 });
});

test("a lag that moves about its threshold is one alert, until it is well below", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 485, max: 900 }), { maxLength: 20 }), (ages) => {
      let register: ReturnType<typeof judge>["register"] = new Map();
      let raisings = 0;
      let clockMs = 0;
      const look = (staleSeconds: number) => {
        const given = findings(facts({ databases: { shop: { staleSeconds, receivedStaleSeconds: 0 } } }));
        clockMs += CLEAR_AFTER_MS;
        const judged = judge(register, { findings: given, nowMs: NOW, clockMs, makeId: () => "x" });
        register = judged.register;
        return judged.changes.map(({ kind, alert }) => `${kind} ${alert.code}`);
      };
      for (const age of ages) {
        const changes = look(age);
        expect(changes.every((change) => change === "raised INTEGRATED_LAG")).toBe(true);
        raisings += changes.length;
      }
      expect(raisings).toBe(ages.some((age) => age > 600) ? 1 : 0);
      look(480);
      expect(look(480)).toEqual(raisings === 1 ? ["cleared INTEGRATED_LAG"] : []);
    }),
    { numRuns: 50 },
  );
});

import { expect, test } from "vitest";
import { RATE_SEGMENTS, rateLine, segmentRates } from "../../src/cli/segment-rates.ts";
import { statusLines } from "../../src/cli/status-table.ts";
import { statusTsv } from "../../src/cli/status-tsv.ts";
import type { SegmentView } from "../../src/member/member-control.ts";
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
    upstreamAgeSeconds: follows === null ? 0 : 3,
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
  return statusLines({ mirror: "clinic", answeredBy: "porto", members }, { databases: false });
}

/** What a mirror knows of a database when the operational member is at `end`. */
function copy(end: string, received: string, integrated: string | null, more: Partial<DatabaseStatus> = {}) {
  const at = (txid: string) => {
    const cutMs = Date.parse(AT) + Number.parseInt(txid, 16) * 500;
    const time = new Date(cutMs).toISOString();
    return { epoch: 3, txid: txid.padStart(16, "0"), checksum: "8".padEnd(16, "0"), time };
  };
  const ends = {
    operational: at(end),
    received: at(received),
    integrated: integrated === null ? null : at(integrated),
  };
  return database("1", { ...ends, ...more });
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

test("lags on the way and of the integration are shown apart, and none for the operational member", () => {
  const unknown = {
    role: null,
    state: "unknown",
    epoch: null,
    follows: null,
    reachable: false,
    databases: {},
  } as const;
  expect(
    lines(
      member("lisbon", null),
      member("porto", "lisbon", { databases: { shop: copy("1a", "1a", "1a") } }),
      member("coimbra", "lisbon", { databases: { shop: copy("1a", "18", "9") } }),
      member("evora", null, unknown),
    ),
  ).toEqual([
    "Mirror set clinic, database shop, as porto sees it",
    "Member     Role         State        Epoch  Received                  Lag  Integrated                 Lag",
    "lisbon     operational  operational      3  000000000000000a               000000000000000a",
    "  porto    mirror       connected        3  000000000000001a            0  000000000000001a             0",
    "  coimbra  mirror       connected        3  0000000000000018  2 tx, 1.0 s  0000000000000009  15 tx, 7.5 s",
    "evora      -            unknown          -  -                           -  -                            -",
  ]);
});

test("several databases stand in one line with the worst lags, or in a line each", () => {
  const databases = { billing: copy("4", "3", null), shop: copy("1a", "1a", "9"), stock: database("a") };
  const set = [
    member("lisbon", null, { databases: { billing: database("4"), shop: database("1a"), stock: database("a") } }),
    member("porto", "lisbon", { databases }),
  ];
  expect(lines(...set).slice(0, 4)).toEqual([
    "Mirror set clinic, as porto sees it",
    "Member   Role         State        Epoch  Received             Lag  Integrated                 Lag",
    "lisbon   operational  operational      3  3 databases               3 databases",
    "  porto  mirror       connected        3  3 databases  1 tx, 0.5 s  2 of 3 databases  17 tx, 8.5 s",
  ]);
  const each = statusLines({ mirror: "clinic", answeredBy: "porto", members: set }, { databases: true });
  expect(each.slice(1, 8)).toEqual([
    "Member   Role         State        Epoch  Database  Received                  Lag  Integrated                 Lag",
    "lisbon   operational  operational      3  billing   0000000000000004               0000000000000004",
    "                                          shop      000000000000001a               000000000000001a",
    "                                          stock     000000000000000a               000000000000000a",
    "  porto  mirror       connected        3  billing   0000000000000003  1 tx, 0.5 s  -                            -",
    "                                          shop      000000000000001a            0  0000000000000009  17 tx, 8.5 s",
    "                                          stock     000000000000000a            0  000000000000000a             0",
  ]);
});

test("a mirror that hears nothing does not look level, nor one behind it", () => {
  const silent = {
    state: "waiting",
    upstreamAgeSeconds: 95,
    databases: { shop: copy("a", "a", "a", { staleSeconds: 97 }) },
  };
  const shown = lines(
    member("lisbon", null, { reachable: false, state: "unknown" }),
    member("porto", "lisbon", silent as Partial<MemberStatus>),
    member("faro", "porto", { upstreamAgeSeconds: null }),
    member("evora", "lisbon"),
  );
  const lag = (name: string) =>
    /[0-9a-f]{16} +(\S+) +[0-9a-f]{16} +(\S+)$/
      .exec(shown.find((line) => line.trimStart().startsWith(name)) ?? "")
      ?.slice(1);
  expect(lag("porto")).toEqual(["unknown", "0"]);
  expect(lag("faro")).toEqual(["unknown", "0"]);
  expect(lag("evora")).toEqual(["0", "0"]);
  expect(shown.filter((line) => line.includes("UPSTREAM_SILENT"))).toEqual([
    "porto: warning UPSTREAM_SILENT: it has heard nothing of the operational member for 95 s; its copies may be 97 s old",
    "faro: warning UPSTREAM_SILENT: it has heard nothing of the operational member since it was started; how old its copies are is not proved",
  ]);
});

test("the first commit after a day without any is no day late: what is proved of the copy bounds it", () => {
  const day = { ...copy("1a", "19", "19", { staleSeconds: 2.5 }) };
  const shop = { ...day, received: day.received && { ...day.received, time: "2026-02-28T12:00:00.000Z" } };
  expect(lines(member("lisbon", null), member("porto", "lisbon", { databases: { shop } }))[3]).toContain(
    " 1 tx, 2.5 s ",
  );
});

test("rates are those of the last minute, and of less when there were more segments than were asked for", () => {
  const segment = (database: string, txid: number, time = AT): SegmentView => ({
    ...{ database, epoch: 1, kind: "segment", bytes: 6000, pages: 3, time, path: "/j" },
    ...{ minTxid: txid.toString(16).padStart(16, "0"), maxTxid: (txid + 1).toString(16).padStart(16, "0") },
    ...{ preApplyChecksum: "0".repeat(16), postApplyChecksum: "0".repeat(16) },
  });
  const status = member("lisbon", null, { databases: { shop: database("a"), stock: database("a") } });
  const quiet = [segment("shop", 1), segment("shop", 3), segment("stock", 1)];
  const rates = segmentRates(quiet, status);
  expect(rates).toEqual({ transactionsPerSecond: 6 / 60, bytesPerSecond: 18_000 / 60, compression: (3 * 4096) / 6000 });
  expect(rateLine("lisbon", rates)).toBe(
    "lisbon: its journal grew by 0.1 transactions and 0.3 KiB a second in the last minute; pages are compressed 2.0 : 1",
  );
  const busy = Array.from({ length: RATE_SEGMENTS }, (_, i) =>
    segment("shop", 2 * i, new Date(Date.parse(AT) + (10_000 * i) / (RATE_SEGMENTS - 1)).toISOString()),
  );
  expect(segmentRates(busy, status).transactionsPerSecond).toBeCloseTo((2 * RATE_SEGMENTS) / 10);
  expect(segmentRates([], status)).toEqual({ transactionsPerSecond: 0, bytesPerSecond: 0, compression: null });
});

test("databases that a mirror lacks are named; of a member of which nothing is known nothing is said", () => {
  const all = { billing: database("4"), shop: database("a"), stock: database("a") };
  const unknown = { role: null, state: "unknown", follows: null, databases: {} } as const;
  const shown = lines(
    member("lisbon", null, { databases: all }),
    member("porto", "lisbon", { databases: all }),
    member("faro", "lisbon"),
    member("evora", null, unknown),
  );
  expect(shown.filter((line) => line.includes("MISSING"))).toEqual([
    "faro: warning DATABASES_MISSING: it lacks billing, stock, which the operational member has",
  ]);
});

test("tsv has a heading and a line for each database, and nothing for what is not known", () => {
  const members = [
    member("porto", "lisbon", { databases: { shop: copy("1a", "18", "9", { staleSeconds: 9 }) } }),
    member("evora", null, { role: null, state: "unknown", epoch: null, reachable: false, databases: {} }),
  ];
  const [heading = "", ...rows] = statusTsv({ mirror: "clinic", answeredBy: "porto", members }).map((line) =>
    line.split("\t"),
  );
  const [porto, evora] = rows.map((cells) => Object.fromEntries(cells.map((cell, i) => [heading[i], cell])));
  expect(porto).toMatchObject({
    ...{ member: "porto", role: "mirror", follows: "lisbon", epoch: "3", database: "shop", error: "" },
    ...{ received: "0000000000000018", transport_lag_transactions: "2", transport_lag_seconds: "1" },
    ...{ integrated: "0000000000000009", integration_lag_transactions: "15", integration_lag_seconds: "7.5" },
    ...{ upstream_age_seconds: "3", stale_seconds: "9" },
  });
  expect(evora).toMatchObject({ member: "evora", role: "", epoch: "", database: "", transport_lag_transactions: "" });
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

test("alerts are said with what to do, unless a line of its own says the same", () => {
  const alert = { level: "warn" as const, subject: null, message: "so it is", hint: "Do this.", since: AT };
  const alerts = [
    { ...alert, code: "TOPOLOGY_UNSAFE", level: "error" as const },
    { ...alert, code: "FOLLOWER_AWAY", subject: "porto" },
    { ...alert, code: "QUARANTINE", subject: "shop" },
  ];
  const shown = lines(member("lisbon", null, { alerts }), member("porto", "lisbon"));
  expect(shown.slice(-4)).toEqual([
    `lisbon: error TOPOLOGY_UNSAFE: so it is (since ${AT})`,
    "  next: Do this.",
    `lisbon -> porto: warning FOLLOWER_AWAY: so it is (since ${AT})`,
    "  next: Do this.",
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

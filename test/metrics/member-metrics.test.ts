import { expect, test } from "vitest";
import { MemberMetrics } from "../../src/metrics/member-metrics.ts";
import type { MetricFacts } from "../../src/metrics/metric-definition.ts";
import { Tally } from "../../src/metrics/tally.ts";
import { anError } from "../http/health-facts.ts";
import { metricFacts } from "./metric-facts.ts";
import { metricNames, parseMetrics } from "./parse-metrics.ts";

async function samplesOf(facts: MetricFacts, databases: "each" | "none" = "each"): Promise<Map<string, number>> {
  return parseMetrics(await new MemberMetrics("porto").render(facts, { databases }));
}

const at = (txid: string, time: string) => ({ epoch: 3, txid, checksum: "8000000000000000", time });

test("role and state are one-hot, and what is wrong is counted", async () => {
  const databases = {
    north: { error: anError("CAPTURE_STALLED"), quarantined: 2 },
    south: { error: anError("MIRROR_INCONSISTENT"), fenced: false, paused: true },
    west: { warnings: [anError("WAL_NOT_SHORTENED")], quarantined: 1 },
  };
  const status = { errors: [anError("DEPOSED")] };
  expect(Object.fromEntries(await samplesOf(metricFacts({ databases, status })))).toMatchObject({
    'afterimage_info{mirror="clinic",type="failover",version="1.2.3",member="porto"}': 1,
    'afterimage_up{member="porto"}': 1,
    'afterimage_role{role="operational",member="porto"}': 0,
    'afterimage_role{role="mirror",member="porto"}': 1,
    'afterimage_state{state="connected",member="porto"}': 1,
    'afterimage_state{state="down",member="porto"}': 0,
    'afterimage_epoch{member="porto"}': 3,
    'afterimage_writable{member="porto"}': 0,
    'afterimage_databases{member="porto"}': 3,
    'afterimage_databases_fenced{member="porto"}': 2,
    'afterimage_databases_paused{member="porto"}': 1,
    'afterimage_databases_with_errors{member="porto"}': 2,
    'afterimage_member_error{code="DEPOSED",member="porto"}': 1,
    'afterimage_stalled{code="CAPTURE_STALLED",member="porto"}': 1,
    'afterimage_stalled{code="SHIPPING_STALLED",member="porto"}': 0,
    'afterimage_stalled{code="WAL_NOT_SHORTENED",member="porto"}': 1,
    'afterimage_quarantined_files{member="porto"}': 3,
    'afterimage_peer_up{peer="lisbon",member="porto"}': 1,
    'afterimage_database_error{database="south",code="MIRROR_INCONSISTENT",member="porto"}': 1,
  });
});

test("transport and integration lag apart, in transactions and in seconds by the operational member's clock", async () => {
  const shop = {
    operational: at("0000000000000064", "2026-03-01T12:00:30.000Z"),
    received: at("0000000000000060", "2026-03-01T12:00:20.000Z"),
    integrated: at("0000000000000020", "2026-03-01T12:00:05.500Z"),
    staleSeconds: 26.5,
    verified: { time: "2026-03-01T12:50:00.000Z", ok: false, txid: "0000000000000020" },
  };
  const backups = new Map([["shop", Date.parse("2026-03-01T03:00:00.000Z")]]);
  expect(Object.fromEntries(await samplesOf(metricFacts({ databases: { shop }, backups })))).toMatchObject({
    'afterimage_received_txid{database="shop",member="porto"}': 0x60,
    'afterimage_integrated_txid{database="shop",member="porto"}': 0x20,
    'afterimage_transport_lag_transactions{database="shop",member="porto"}': 4,
    'afterimage_transport_lag_seconds{database="shop",member="porto"}': 10,
    'afterimage_integration_lag_transactions{database="shop",member="porto"}': 64,
    'afterimage_integration_lag_seconds{database="shop",member="porto"}': 14.5,
    'afterimage_staleness_seconds{database="shop",member="porto"}': 26.5,
    'afterimage_database_bytes{database="shop",member="porto"}': 40_960,
    'afterimage_verification_ok{database="shop",member="porto"}': 0,
    'afterimage_verification_age_seconds{database="shop",member="porto"}': 600,
    'afterimage_backup_age_seconds{database="shop",member="porto"}': 36_000,
  });
});

test("alerts that are raised are 1, with their subjects", async () => {
  const alert = { message: "m", hint: "h", since: "2026-03-01T12:00:00.000Z" };
  const alerts = [
    { ...alert, code: "RECEIVED_LAG", level: "error", subject: null },
    { ...alert, code: "QUARANTINE", level: "warn", subject: "shop" },
  ];
  const samples = [...(await samplesOf(metricFacts({ status: { alerts } })))];
  expect(samples.filter(([name]) => name.startsWith("afterimage_alert"))).toEqual([
    ['afterimage_alert{alert="RECEIVED_LAG",level="error",subject="",member="porto"}', 1],
    ['afterimage_alert{alert="QUARANTINE",level="warn",subject="shop",member="porto"}', 1],
  ]);
});

test("what is not known is absent, and not 0", async () => {
  const shop = { received: null, integrated: null, staleSeconds: null, pageCount: null, walBytes: null };
  const names = [
    ...(await samplesOf(metricFacts({ databases: { shop }, status: { upstreamAgeSeconds: null } }))).keys(),
  ];
  for (const name of ["received_txid", "staleness_seconds", "transport_lag", "database_bytes", "wal_bytes"])
    expect(names.filter((each) => each.includes(name))).toEqual([]);
  for (const name of ["verification", "backup", "upstream_age", "journal_bytes"])
    expect(names.filter((each) => each.includes(name))).toEqual([]);
  expect(names).toContain('afterimage_databases_unproved{member="porto"}');
});

test("followers have the lag of the database that is furthest behind", async () => {
  const receipt = (lagTransactions: number | null, lagSeconds: number | null) => ({
    ...{ shipped: null, received: null, integrated: null, lagTransactions, lagSeconds },
  });
  const followers = {
    faro: {
      reachable: false,
      heartbeat: "2026-03-01T12:59:00.000Z",
      error: anError("CONNECTION_REFUSED"),
      databases: { north: receipt(3, 1.5), south: receipt(70, 0.5), west: receipt(null, null) },
    },
  };
  const samples = await samplesOf(metricFacts({ status: { followers } }));
  expect(Object.fromEntries(samples)).toMatchObject({
    'afterimage_follower_up{follower="faro",member="porto"}': 0,
    'afterimage_follower_receipt_age_seconds{follower="faro",member="porto"}': 60,
    'afterimage_follower_lag_transactions{follower="faro",member="porto"}': 70,
    'afterimage_follower_lag_seconds{follower="faro",member="porto"}': 1.5,
    'afterimage_follower_error{follower="faro",code="CONNECTION_REFUSED",member="porto"}': 1,
  });
});

test("counters follow the tally, and what is gone leaves no series", async () => {
  const tally = new Tally();
  const metrics = new MemberMetrics("porto");
  const render = async (databases: Readonly<Record<string, object>>) =>
    parseMetrics(await metrics.render(metricFacts({ tally, databases }), { databases: "each" }));
  tally.addFiles("received", "north", 100, 2);
  tally.add("events", "error DISK_LOW");
  await render({ north: {}, south: {} });
  tally.addFiles("received", "north", 50);
  tally.addFiles("shipped", "faro", 7);
  const samples = await render({ north: {} });
  expect(Object.fromEntries(samples)).toMatchObject({
    'afterimage_received_segments_total{database="north",member="porto"}': 3,
    'afterimage_received_bytes_total{database="north",member="porto"}': 150,
    'afterimage_shipped_files_total{follower="faro",member="porto"}': 1,
    'afterimage_shipped_bytes_total{follower="faro",member="porto"}': 7,
    'afterimage_events_total{level="error",code="DISK_LOW",member="porto"}': 1,
  });
  expect([...samples.keys()].filter((name) => name.includes("south"))).toEqual([]);
});

test("a thousand databases can be left out, and then make no series", async () => {
  const databases = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`tenant-${i}`, {}]));
  const facts = metricFacts({ databases });
  const [all, few] = [await samplesOf(facts), await samplesOf(facts, "none")];
  expect([...few.keys()].filter((name) => name.includes("tenant"))).toEqual([]);
  expect(all.size - few.size).toBeLessThanOrEqual(17_000);
  expect(few.get('afterimage_databases{member="porto"}')).toBe(1000);
});

test("two members in one process have registries of their own", async () => {
  const [porto, faro] = [new MemberMetrics("porto"), new MemberMetrics("faro")];
  const facts = metricFacts();
  const texts = [await porto.render(facts, { databases: "each" }), await faro.render(facts, { databases: "each" })];
  expect(texts.map((text) => parseMetrics(text).get('afterimage_up{member="faro"}'))).toEqual([undefined, 1]);
  expect(metricNames(texts[0] ?? "")).toContain("process_cpu_seconds_total");
});

test("two that ask at once get whole answers", async () => {
  const metrics = new MemberMetrics("porto");
  const [all, few] = await Promise.all([
    metrics.render(metricFacts({ databases: { north: {} } }), { databases: "each" }),
    metrics.render(metricFacts({ databases: { south: {} } }), { databases: "none" }),
  ]);
  expect(parseMetrics(all).get('afterimage_databases{member="porto"}')).toBe(1);
  expect(parseMetrics(few).get('afterimage_databases{member="porto"}')).toBe(1);
});

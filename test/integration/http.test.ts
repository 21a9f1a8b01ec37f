/** Health checks and metrics of real daemons. */

import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { freePorts } from "../../src/demo/free-ports.ts";
import { afterimage } from "../cli/afterimage.ts";
import { parseMetrics } from "../metrics/parse-metrics.ts";
import { countEntries, createEntries, EntryWriter, stopWriters } from "../support/entries.ts";
import { readEvents } from "../support/events.ts";
import {
  createSet,
  killDaemon,
  MIRROR,
  OPERATIONAL,
  PAIR,
  startAll,
  stopAndCompare,
  untilLevel,
  untilSet,
} from "../support/mirror-set.ts";
import { configure } from "../support/tenants.ts";

type Ports = ReadonlyMap<string, number>;

async function createServed(): Promise<{ set: DemoSet; ports: Ports }> {
  const set = createSet(PAIR);
  createEntries(set.databasePath(OPERATIONAL));
  const free = await freePorts(PAIR.length);
  const ports = new Map(PAIR.map(({ member }, i) => [member, free[i] ?? 0]));
  configure(set, ({ members }) => {
    for (const [member, port] of ports) members[member].http = { port };
  });
  return { set, ports };
}

/** The status code; null when nobody answers. */
async function ask(ports: Ports, member: string, path: string): Promise<number | null> {
  try {
    return (await fetch(`http://127.0.0.1:${ports.get(member)}${path}`)).status;
  } catch {
    return null;
  }
}

async function untilAnswer(set: DemoSet, ports: Ports, [member, path]: [string, string], status: number | null) {
  await untilSet(
    set,
    `${member} answers ${path} with ${status}`,
    async () => (await ask(ports, member, path)) === status,
  );
}

async function metricsOf(ports: Ports, member: string): Promise<Map<string, number>> {
  return parseMetrics(await (await fetch(`http://127.0.0.1:${ports.get(member)}/metrics`)).text());
}

function run(set: DemoSet, member: string, ...args: string[]) {
  return afterimage([...args, "--config", set.configPath, "--node", member], { cwd: set.root });
}

test("a pair answers by its roles, counts what it does, and a fence is seen at once", async () => {
  const { set, ports } = await createServed();
  await startAll(set);
  const writers = [EntryWriter.start("better-sqlite3", set.databasePath(OPERATIONAL), "ana", 5)];
  await untilSet(set, "rows arrive", () => (countEntries(set.databasePath(MIRROR)).ana ?? 0) > 50);
  for (const path of ["/", "/primary", "/read-only", "/health", "/liveness", "/readiness"])
    await untilAnswer(set, ports, [OPERATIONAL, path], 200);
  for (const path of ["/replica?lag=10s", "/replica?lag=100000", "/read-only", "/health", "/liveness", "/readiness"])
    await untilAnswer(set, ports, [MIRROR, path], 200);
  expect([await ask(ports, OPERATIONAL, "/replica"), await ask(ports, MIRROR, "/primary")]).toEqual([503, 503]);

  await stopWriters(writers);
  await untilLevel(set, countEntries);
  const [cut, taken] = [await metricsOf(ports, OPERATIONAL), await metricsOf(ports, MIRROR)];
  // Counters are of this moment; gauges, and status documents, are of one just before.
  const end = taken.get('afterimage_integrated_transactions_total{database="shop",member="porto"}');
  await untilSet(set, "gauge and status say the same", async () => {
    const samples = await metricsOf(ports, MIRROR);
    const ofStatus = Number.parseInt(set.databaseStatus(MIRROR)?.integrated?.txid ?? "", 16);
    return samples.get('afterimage_integrated_txid{database="shop",member="porto"}') === end && ofStatus === end;
  });
  const segments = taken.get('afterimage_received_segments_total{database="shop",member="porto"}') ?? 0;
  expect(segments).toBeGreaterThan(1);
  expect(cut.get('afterimage_cut_segments_total{database="shop",member="lisbon"}')).toBeGreaterThanOrEqual(segments);
  expect(cut.get('afterimage_shipped_files_total{follower="porto",member="lisbon"}')).toBeGreaterThanOrEqual(segments);
  expect(taken.get('afterimage_events_total{level="info",code="MIRROR_CREATED",member="porto"}')).toBe(1);

  expect(await run(set, OPERATIONAL, "fence")).toMatchObject({ code: 0 });
  expect([await ask(ports, OPERATIONAL, "/primary"), await ask(ports, OPERATIONAL, "/read-only")]).toEqual([503, 200]);
  const restarted = await set.daemon(OPERATIONAL)?.terminate();
  expect(restarted?.code).toBe(0);
  set.startDaemon(OPERATIONAL);
  await untilAnswer(set, ports, [OPERATIONAL, "/read-only"], 200);
  await untilSet(set, "the fence is known", () => set.status(OPERATIONAL)?.state === "fenced");
  expect(await ask(ports, OPERATIONAL, "/primary")).toBe(503);
  expect(await run(set, OPERATIONAL, "unfence")).toMatchObject({ code: 0 });
  await untilAnswer(set, ports, [OPERATIONAL, "/primary"], 200);
  await stopAndCompare(set);
});

test("a mirror that hears nothing becomes older, and one whose daemon is stopped answers nothing", async () => {
  const { set, ports } = await createServed();
  await startAll(set);
  await untilAnswer(set, ports, [MIRROR, "/replica?lag=4s"], 200);
  const former = set.daemon(OPERATIONAL);
  if (former === null) throw new Error("no daemon");
  await killDaemon(former);
  // The set is asked without its check that all daemons run.
  await expect.poll(() => ask(ports, MIRROR, "/replica?lag=4s"), { timeout: 60_000 }).toBe(503);
  expect(await ask(ports, MIRROR, "/replica")).toBe(200);
  expect(await ask(ports, OPERATIONAL, "/primary")).toBeNull();
  const samples = await metricsOf(ports, MIRROR);
  expect(samples.get('afterimage_staleness_seconds{database="shop",member="porto"}')).toBeGreaterThan(4);
  expect(samples.get('afterimage_transport_lag_seconds{database="shop",member="porto"}')).toBe(0);
  await set.daemon(MIRROR)?.terminate();
  expect(await ask(ports, MIRROR, "/liveness")).toBeNull();
});

test("a port that is taken disturbs nobody, and a reload moves the server", async () => {
  const { set, ports } = await createServed();
  const squatter = createServer((socket) => socket.destroy()).listen(ports.get(OPERATIONAL), "127.0.0.1");
  await once(squatter, "listening");
  await startAll(set);
  const codes = () => readEvents(set, OPERATIONAL).map(({ code }) => code);
  await untilSet(set, "the event", () => codes().includes("HTTP_LISTEN_FAILED"));
  squatter.close();
  await untilAnswer(set, ports, [OPERATIONAL, "/primary"], 200);
  expect(codes().filter((code) => code === "HTTP_LISTEN_FAILED")).toHaveLength(1);
  expect(codes()).toContain("LISTENING");

  const [port = 0] = await freePorts(1);
  configure(set, ({ members }) => {
    members[OPERATIONAL].http = { port };
  });
  const { code, stdout } = await run(set, OPERATIONAL, "reload", "--json");
  expect([code, JSON.parse(stdout)]).toEqual([0, { changed: ["members.lisbon.http.port"] }]);
  const moved = new Map([[OPERATIONAL, port]]);
  await untilAnswer(set, moved, [OPERATIONAL, "/primary"], 200);
  expect(await ask(ports, OPERATIONAL, "/primary")).toBeNull();

  configure(set, ({ members }) => {
    delete members[OPERATIONAL].http;
  });
  expect(await run(set, OPERATIONAL, "reload")).toMatchObject({ code: 0 });
  expect(await ask(moved, OPERATIONAL, "/primary")).toBeNull();
  await stopAndCompare(set);
});

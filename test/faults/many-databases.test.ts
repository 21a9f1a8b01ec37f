import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { createSet, MIRROR, OPERATIONAL, PAIR } from "../support/mirror-set.ts";
import { peakResidentBytes, processorMs, residentBytes } from "../support/process-figures.ts";

const MIB = 1024 * 1024;
const DATABASES = 200;
const WATCHED_MS = 30_000;
/** What the mirrors' creation leaves to be collected and compiled is over by then. */
const SETTLE_MS = 15_000;
const MOST_OF_A_CORE = 0.05;
const MOST_BYTES = 300 * MIB;

const NAMES = Array.from({ length: DATABASES }, (_, index) => `clinic-${index}`);

function pathOf(set: DemoSet, member: string, name: string): string {
  return join(set.root, member, "data", `${name}.db`);
}

/** A set with many databases in place of one. */
function createManyDatabases(): DemoSet {
  const set = createSet(PAIR);
  const configuration = parse(readFileSync(set.configPath, "utf8"));
  for (const { member } of set.members) {
    const paths = NAMES.map((name) => [name, pathOf(set, member, name)]);
    configuration.members[member].databases = Object.fromEntries(paths);
  }
  writeFileSync(set.configPath, stringify(configuration));
  for (const name of NAMES) {
    const database = new Database(pathOf(set, OPERATIONAL, name));
    database.pragma("journal_mode = WAL");
    database.exec("CREATE TABLE visit (id INTEGER PRIMARY KEY, note TEXT)");
    database.close();
  }
  return set;
}

function addVisit(set: DemoSet, name: string): void {
  const database = new Database(pathOf(set, OPERATIONAL, name), { timeout: 5_000 });
  database.exec("INSERT INTO visit (note) VALUES ('came in')");
  database.close();
}

/** Waits until the mirror has integrated the given number of transactions of every database. */
async function untilLevel(set: DemoSet, transactions: number): Promise<void> {
  const level = () =>
    Object.values(set.status(MIRROR)?.databases ?? {}).filter(
      ({ integrated }) => Number.parseInt(integrated?.txid ?? "0", 16) >= transactions,
    ).length;
  const what = `${DATABASES} databases are at transaction ${transactions}`;
  await waitUntil(() => level() === DATABASES, { what, stalledAfterMs: 60_000, progress: () => String(level()) });
}

test("200 idle databases take less than 5 % of a core and less than 300 MiB, on both sides", async () => {
  const set = createManyDatabases();
  const daemons = set.members.map(({ member }) => set.startDaemon(member));
  const startedMs = performance.now();
  await untilLevel(set, 1);
  for (const name of NAMES) addVisit(set, name);
  await untilLevel(set, 2);
  const levelMs = Math.round(performance.now() - startedMs);
  console.log(`${DATABASES} databases: mirrors made, and a commit to each shipped and integrated, in ${levelMs} ms`);
  await sleep(SETTLE_MS);

  const before = daemons.map(({ pid }) => processorMs(pid ?? 0));
  const beganMs = performance.now();
  await sleep(WATCHED_MS);
  const watchedMs = performance.now() - beganMs;
  const used = daemons.map(({ name, pid }, index) => ({
    name,
    share: (processorMs(pid ?? 0) - (before[index] ?? 0)) / watchedMs,
    bytes: residentBytes(pid ?? 0),
    peak: peakResidentBytes(pid ?? 0),
  }));
  for (const { name, share, bytes, peak } of used) {
    const [now, most] = [bytes, peak].map((each) => Math.round(each / MIB));
    console.log(`${name}: ${(share * 100).toFixed(2)} % of a core, ${now} MiB, ${most} MiB at most`);
  }
  for (const { share, bytes } of used) {
    expect(share).toBeLessThan(MOST_OF_A_CORE);
    expect(bytes).toBeLessThan(MOST_BYTES);
  }

  expect((await set.stopDaemons()).map(({ name }) => name)).toEqual([]);
  for (const name of NAMES) {
    const [operational, mirror] = [pathOf(set, OPERATIONAL, name), pathOf(set, MIRROR, name)];
    for (const path of [operational, mirror]) settleDatabase(path);
    expect(compareDatabases(operational, mirror)).toMatchObject({ identical: true });
  }
});

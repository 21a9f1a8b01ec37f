import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { addVisit, clinicNames, countLevel, createVisits } from "../support/many-databases.ts";
import { createSet, MIRROR, OPERATIONAL, PAIR } from "../support/mirror-set.ts";
import { peakResidentBytes, processorMs, residentBytes } from "../support/process-figures.ts";

const MIB = 1024 * 1024;
const DATABASES = 200;
const WATCHED_MS = 30_000;
/** What the mirrors' creation leaves to be collected and compiled is over by then. */
const SETTLE_MS = 15_000;
const MOST_OF_A_CORE = 0.05;
const MOST_BYTES = 300 * MIB;

const NAMES = clinicNames(DATABASES);

/** Waits until the mirror has integrated at least so many transactions of every database. */
async function untilLevel(set: DemoSet, transactions: number): Promise<void> {
  const level = () => countLevel(set, MIRROR, transactions);
  const what = `${DATABASES} databases are at transaction ${transactions}`;
  await waitUntil(() => level() === DATABASES, { what, stalledAfterMs: 60_000, progress: () => String(level()) });
}

test("200 idle databases take less than 5 % of a core and less than 300 MiB, on both sides", async () => {
  const set = createSet(PAIR, undefined, NAMES);
  const paths = NAMES.map((name) => set.databasePath(OPERATIONAL, name));
  for (const path of paths) createVisits(path);
  const daemons = set.members.map(({ member }) => set.startDaemon(member));
  const startedMs = performance.now();
  await untilLevel(set, 1);
  for (const path of paths) addVisit(path);
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
    const [operational, mirror] = [set.databasePath(OPERATIONAL, name), set.databasePath(MIRROR, name)];
    for (const path of [operational, mirror]) settleDatabase(path);
    expect(compareDatabases(operational, mirror)).toMatchObject({ identical: true });
  }
});

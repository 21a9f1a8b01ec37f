import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { countEntries, createEntries } from "../support/entries.ts";
import { CHAIN, createSet, OPERATIONAL, startAll, stopAndCompare, untilLevel } from "../support/mirror-set.ts";
import { processorMs } from "../support/process-figures.ts";

const WATCHED_MS = 20_000;
/** One hundredth of a core. */
const MOST_PROCESSOR_MS = WATCHED_MS / 100;
/** Modules are still being compiled in the first moments of a process. */
const SETTLE_MS = 5_000;
/** A busy neighbour makes the same work dearer, never cheaper: one window below the limit shows what the work takes. */
const WINDOWS = 4;

function segmentFiles(set: DemoSet): string[] {
  return set.members.flatMap(({ member }) =>
    readdirSync(join(set.root, member), { recursive: true, encoding: "utf8" })
      .filter((name) => name.includes(".ltx"))
      .map((name) => `${member}/${name}`),
  );
}

function usedProcessorMs(set: DemoSet): Record<string, number> {
  return Object.fromEntries(set.members.map(({ member }) => [member, processorMs(set.daemon(member)?.pid ?? 0)]));
}

/** What each daemon uses in a while, in milliseconds. */
async function processorMsOfAWindow(set: DemoSet): Promise<Record<string, number>> {
  const before = usedProcessorMs(set);
  await sleep(WATCHED_MS);
  const after = usedProcessorMs(set);
  const used = Object.fromEntries(Object.entries(after).map(([member, ms]) => [member, ms - (before[member] ?? 0)]));
  console.log(`processor time in ${WATCHED_MS / 1000} s, in ms: ${JSON.stringify(used)}`);
  return used;
}

test("an idle database ships nothing and its daemons use less than 1 % of a core", async () => {
  const set = createSet(CHAIN);
  const path = set.databasePath(OPERATIONAL);
  createEntries(path);
  await startAll(set);
  const application = new Database(path);
  application.exec("INSERT INTO entry VALUES ('ana', 1, x'00')");
  await untilLevel(set, countEntries);
  await sleep(SETTLE_MS);

  const files = segmentFiles(set);
  expect(files).not.toEqual([]);
  let used = await processorMsOfAWindow(set);
  for (let window = 1; window < WINDOWS && Math.max(...Object.values(used)) >= MOST_PROCESSOR_MS; window++) {
    used = await processorMsOfAWindow(set);
  }
  expect(segmentFiles(set)).toEqual(files);
  for (const { member } of set.members) {
    expect(used[member], `processor time of ${member}, ms`).toBeLessThan(MOST_PROCESSOR_MS);
  }
  application.close();
  await stopAndCompare(set);
});

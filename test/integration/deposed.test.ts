import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { afterimage } from "../cli/afterimage.ts";
import { countEntries, createEntries, EntryWriter, stopWriters } from "../support/entries.ts";
import {
  createSet,
  killDaemon,
  MIRROR,
  OPERATIONAL,
  PAIR,
  startAll,
  untilLevel,
  untilSet,
} from "../support/mirror-set.ts";

const STALLED_AFTER_MS = 60_000;

/** As docs/STATES.md says: what the member had is moved away, and it begins as a mirror. */
function beginAnew(set: DemoSet): void {
  for (const directory of [set.statePath(OPERATIONAL), dirname(set.databasePath(OPERATIONAL))]) {
    renameSync(directory, `${directory}.kept`);
    mkdirSync(directory);
  }
  const configuration = parse(readFileSync(set.configPath, "utf8"));
  configuration.operational = MIRROR;
  writeFileSync(set.configPath, stringify(configuration));
}

test("a member that was promoted past keeps what only it has, and follows again from an empty state", async () => {
  const set = createSet(PAIR);
  const path = set.databasePath(OPERATIONAL);
  createEntries(path);
  await startAll(set);
  const shipped = [EntryWriter.start("better-sqlite3", path, "ana", 5)];
  await untilSet(set, "rows arrive", () => (countEntries(set.databasePath(MIRROR)).ana ?? 0) > 20);
  await stopWriters(shipped);
  await untilLevel(set, countEntries);
  const former = set.daemon(OPERATIONAL);
  if (former === null) throw new Error("no daemon");
  await killDaemon(former);
  const lost = [EntryWriter.start("better-sqlite3", path, "lost", 5)];
  await waitUntil(() => (countEntries(path).lost ?? 0) > 20, {
    what: "rows that nobody gets",
    stalledAfterMs: STALLED_AFTER_MS,
  });
  await stopWriters(lost);

  const promoted = await afterimage(["promote", "--config", set.configPath, "--node", MIRROR], { cwd: set.root });
  expect([promoted.code, promoted.stderr]).toMatchObject([0, expect.anything()]);
  const taken = [EntryWriter.start("better-sqlite3", set.databasePath(MIRROR), "bento", 5)];
  set.startDaemon(OPERATIONAL);
  await untilSet(set, "the former member is fenced", () => set.status(OPERATIONAL)?.state === "fenced");
  expect(set.status(OPERATIONAL)?.errors).toMatchObject([
    { code: "DEPOSED", hint: expect.stringContaining("STATES.md") },
  ]);
  await set.daemon(OPERATIONAL)?.terminate();

  beginAnew(set);
  set.startDaemon(OPERATIONAL);
  const rows = await stopWriters(taken);
  await untilSet(set, "it follows", () => existsSync(path) && countEntries(path).bento === rows.bento);
  const failed = await set.stopDaemons();
  expect(failed.map((daemon) => `${daemon.name}: ${daemon.logTail()}`)).toEqual([]);
  for (const member of [OPERATIONAL, MIRROR]) settleDatabase(set.databasePath(member));
  expect(compareDatabases(set.databasePath(MIRROR), path)).toMatchObject({ identical: true });
  const kept = join(`${dirname(path)}.kept`, "shop.db");
  expect(countEntries(kept).lost).toBeGreaterThan(20);
});

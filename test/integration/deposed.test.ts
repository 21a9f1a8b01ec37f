import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import { DATABASE } from "../../src/demo/demo-set.ts";
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

test("a member that was promoted past rejoins: what only it has is kept, and it follows again", async () => {
  const set = createSet(PAIR);
  const path = set.databasePath(OPERATIONAL);
  const run = (member: string, ...args: string[]) =>
    afterimage([...args, "--config", set.configPath, "--node", member], { cwd: set.root });
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
  // The last connection that is closed empties the WAL: what was committed can be counted no more, only compared.
  await stopWriters(lost);

  const promoted = await run(MIRROR, "promote");
  expect([promoted.code, promoted.stderr]).toMatchObject([0, expect.anything()]);
  const taken = [EntryWriter.start("better-sqlite3", set.databasePath(MIRROR), "bento", 5)];
  set.startDaemon(OPERATIONAL);
  await untilSet(set, "the former member is fenced", () => set.status(OPERATIONAL)?.state === "fenced");
  expect(set.status(OPERATIONAL)?.errors).toMatchObject([
    { code: "DEPOSED", hint: expect.stringContaining("afterimage rejoin") },
  ]);

  const asked = await run(OPERATIONAL, "rejoin");
  expect([asked.code, asked.stderr]).toEqual([3, expect.stringContaining("NOT_CONFIRMED")]);
  const planned = await run(OPERATIONAL, "rejoin", "--dry-run", "--json");
  expect(JSON.parse(planned.stdout)).toMatchObject({
    plan: { operational: MIRROR, databases: [{ transactions: null, state: "diverged" }] },
  });
  expect(existsSync(join(set.statePath(OPERATIONAL), "diverged"))).toBe(false);
  const rejoined = await run(OPERATIONAL, "rejoin", "--yes");
  expect([rejoined.code, rejoined.stderr]).toEqual([0, ""]);
  expect(rejoined.stdout).toContain(`what differs is in ${join(set.statePath(OPERATIONAL), "diverged", DATABASE)}`);

  const rows = await stopWriters(taken);
  await untilSet(set, "it follows", () => countEntries(path).bento === rows.bento);
  const failed = await set.stopDaemons();
  expect(failed.map((daemon) => `${daemon.name}: ${daemon.logTail()}`)).toEqual([]);
  for (const member of [OPERATIONAL, MIRROR]) settleDatabase(set.databasePath(member));
  expect(compareDatabases(set.databasePath(MIRROR), path)).toMatchObject({ identical: true });
});

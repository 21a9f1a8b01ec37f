import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { DATABASE, type DemoMember, DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { afterimage, startAfterimage } from "./afterimage.ts";

const PAIR: readonly DemoMember[] = [
  { member: "lisbon", follows: null },
  { member: "porto", follows: "lisbon" },
];

test("snapshots are made by schedule, and purge says what would go before it lets it go", async () => {
  const journal = { rotate: "continuous", snapshot: "* * * * * *", retention: "0s" };
  const set = new DemoSet({ root: temporaryDirectory(), members: PAIR, journal });
  const run = (...args: string[]) =>
    afterimage([...args, "--config", set.configPath, "--node", "lisbon"], { cwd: set.root });
  const database = new Database(set.databasePath("lisbon"));
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE t (a)");
  const directory = join(set.statePath("lisbon"), "journal", DATABASE, "0000000000000001", "ltx", "9");
  const snapshots = () => (existsSync(directory) ? readdirSync(directory).filter((name) => !name.startsWith(".")) : []);

  const daemon = startAfterimage(["run", "--config", set.configPath, "--node", "lisbon"], { cwd: set.root });
  for (const count of [1, 2, 3]) {
    await waitUntil(() => snapshots().length >= count, { what: `${count} snapshots`, stalledAfterMs: 20_000 });
    database.exec("INSERT INTO t VALUES (1)");
  }
  const journalStatus = JSON.parse((await run("status", "--json")).stdout).members[0].journal;
  expect(journalStatus).toMatchObject({ shortages: [], givenUp: [], oldest: expect.any(String) });
  daemon.child.kill("SIGTERM");
  await daemon.ended;
  database.close();

  const dry = await run("purge", "--dry-run");
  expect(dry).toMatchObject({ code: 0, stdout: expect.stringMatching(/^shop: would remove \d+ files, \d+ bytes; /) });
  expect(snapshots().length).toBeGreaterThanOrEqual(3);
  const [removed] = JSON.parse((await run("purge", "--json")).stdout).purged;
  expect(removed).toMatchObject({
    database: DATABASE,
    removed: expect.arrayContaining([expect.stringContaining("/ltx/9/")]),
  });
  for (const path of removed.removed) expect(dry.stdout).toContain(path);
  expect(snapshots()).toHaveLength(1);
  expect((await run("purge")).stdout).toMatch(/^shop: nothing may go; \d+ bytes in the journal/);
  expect((await run("verify")).code).toBe(0);
});

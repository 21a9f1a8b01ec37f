/** Mirrors that begin with a file that is there already, and fetch only what it lacks. */
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { DATABASE, type DemoSet } from "../../src/demo/demo-set.ts";
import { afterimage } from "../cli/afterimage.ts";
import { readEvents } from "../support/events.ts";
import {
  createSet,
  MIRROR,
  OPERATIONAL,
  PAIR,
  stopAndCompare,
  untilLevel,
  untilReadable,
  untilSet,
} from "../support/mirror-set.ts";

const ROWS = 400;

function countRows(path: string): number {
  const database = new Database(path, { readonly: true, timeout: 5_000 });
  try {
    return database.prepare<[], number>("SELECT count(*) FROM visit").pluck().get() ?? 0;
  } finally {
    database.close();
  }
}

function open(set: DemoSet): Database.Database {
  const database = new Database(set.databasePath(OPERATIONAL), { timeout: 10_000 });
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE IF NOT EXISTS visit (id INTEGER PRIMARY KEY, scan BLOB)");
  return database;
}

function addRows(database: Database.Database, count: number): void {
  const insert = database.prepare("INSERT INTO visit (scan) VALUES (randomblob(5000))");
  database.transaction(() => {
    for (let i = 0; i < count; i++) insert.run();
  })();
}

/** An operational member that has rows and is at rest; nobody follows it yet. */
async function operationalAlone() {
  const set = createSet(PAIR);
  const database = open(set);
  addRows(database, ROWS);
  set.startDaemon(OPERATIONAL);
  await untilSet(set, "the journal has begun", () => set.databaseStatus(OPERATIONAL)?.received ?? null);
  return { set, database };
}

async function run(set: DemoSet, member: string, args: readonly string[]) {
  const all = [...args, "--json", "--config", set.configPath, "--node", member];
  const { code, stdout } = await afterimage(all, { cwd: set.root });
  return { code, answer: stdout === "" ? null : JSON.parse(stdout) };
}

async function seedAndStart(set: DemoSet, file: string): Promise<{ pages: number; bytes: number }> {
  const { code, answer } = await run(set, MIRROR, ["seed", DATABASE, "--from", file]);
  expect([code, answer]).toMatchObject([0, { copy: { state: "ordered" } }]);
  set.startDaemon(MIRROR);
  await untilSet(set, "the copy is equal", () => {
    const status = set.databaseStatus(MIRROR);
    return status?.integrated != null && status.resync === null;
  });
  const { pages, bytes } = readEvents(set, MIRROR).findLast(({ code: each }) => each === "RESYNCED")?.data ?? {};
  return { pages: Number(pages), bytes: Number(bytes) };
}

test("a stale copy with a WAL beside it gets only the pages that have changed since", async () => {
  const { set, database } = await operationalAlone();
  database.prepare("UPDATE visit SET scan = randomblob(5000) WHERE id = 7").run();
  const copy = join(set.root, "copy.db");
  for (const suffix of ["", "-wal"]) copyFileSync(`${set.databasePath(OPERATIONAL)}${suffix}`, `${copy}${suffix}`);
  const before = [readFileSync(copy), statSync(`${copy}-wal`).size];
  expect(before[1]).toBeGreaterThan(0);
  database.prepare("UPDATE visit SET scan = randomblob(5000) WHERE id = 200").run();
  addRows(database, 3);
  await run(set, OPERATIONAL, ["rotate"]);

  const { pages, bytes } = await seedAndStart(set, copy);
  expect(pages).toBeLessThan(ROWS / 10);
  expect(bytes).toBeLessThan((ROWS * 5000) / 10);
  expect([readFileSync(copy), statSync(`${copy}-wal`).size]).toEqual(before);
  addRows(database, 2);
  expect(await untilLevel(set, countRows)).toBe(ROWS + 5);
  expect((await run(set, MIRROR, ["verify"])).answer).toMatchObject({ ok: true });
  database.close();
  await stopAndCompare(set);
});

test("a backup whose state the journal knows goes on with segments, and gets no pages", async () => {
  const { set, database } = await operationalAlone();
  addRows(database, 1);
  await run(set, OPERATIONAL, ["rotate"]);
  const made = await run(set, OPERATIONAL, ["backup", DATABASE, "--allow-operational"]);
  expect(made).toMatchObject({ code: 0, answer: { backups: [{ path: expect.any(String) }] } });
  const copy: string = made.answer.backups[0].path;
  for (let round = 0; round < 3; round++) {
    addRows(database, 2);
    await run(set, OPERATIONAL, ["rotate"]);
  }
  expect((await seedAndStart(set, copy)).pages).toBe(0);
  expect(await untilLevel(set, countRows)).toBe(ROWS + 7);
  database.close();
  await stopAndCompare(set);
});

test("a snapshot of a journal is a seed; a segment and a text are none, and a copy is not replaced without a word", async () => {
  const { set, database } = await operationalAlone();
  const journal = join(set.statePath(OPERATIONAL), "journal");
  const names = readdirSync(journal, { recursive: true, encoding: "utf8" });
  const snapshot = names.find((name) => /ltx\/9\/.*\.ltx$/.test(name)) ?? "";
  addRows(database, 2);
  await run(set, OPERATIONAL, ["rotate"]);
  const segments = readdirSync(journal, { recursive: true, encoding: "utf8" });
  const segment = segments.find((name) => /ltx\/0\/\d.*-0000000000000002\.ltx$/.test(name)) ?? "";
  const text = join(set.root, "text");
  writeFileSync(text, "no database at all");
  for (const file of [text, join(journal, segment)]) {
    const refused = await run(set, MIRROR, ["seed", DATABASE, "--from", file]);
    expect([file, refused]).toMatchObject([file, { code: 3, answer: { error: { code: "SEED_UNUSABLE" } } }]);
  }
  const elsewhere = await run(set, OPERATIONAL, ["seed", DATABASE, "--from", join(journal, snapshot), "--yes"]);
  expect(elsewhere).toMatchObject({ code: 3, answer: { error: { code: "NOT_A_MIRROR" } } });

  await seedAndStart(set, join(journal, snapshot));
  expect(await untilLevel(set, countRows)).toBe(ROWS + 2);
  const again = await run(set, MIRROR, ["seed", DATABASE, "--from", join(journal, snapshot)]);
  expect(again).toMatchObject({ code: 3, answer: { error: { code: "NOT_CONFIRMED" } } });
  expect(existsSync(`${set.databasePath(MIRROR)}.afterimage-seed`)).toBe(false);
  database.close();
  await stopAndCompare(set);
});

test("another database, with pages of another size, is replaced as a whole once that is confirmed", async () => {
  const { set, database } = await operationalAlone();
  set.startDaemon(MIRROR);
  await untilReadable(set, MIRROR);
  await untilLevel(set, countRows);
  const foreign = join(set.root, "foreign.db");
  const other = new Database(foreign);
  other.pragma("page_size = 8192");
  other.exec("CREATE TABLE invoice (total INTEGER); INSERT INTO invoice VALUES (1)");
  other.close();
  const { code, answer } = await run(set, MIRROR, ["seed", DATABASE, "--from", foreign, "--yes"]);
  expect([code, answer]).toMatchObject([0, { copy: { state: "done" } }]);
  addRows(database, 1);
  expect(await untilLevel(set, countRows)).toBe(ROWS + 1);
  database.close();
  await stopAndCompare(set);
});

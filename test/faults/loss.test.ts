/**
 * The operational machine is lost under load, at random moments, and a mirror is promoted. With a salvage before, nothing is
 * lost; without one, what is lost is exactly what lies beyond the position that the promotion announced.
 */
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { integrityCheck } from "../../src/demo/compare-databases.ts";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import type { PromoteResult } from "../../src/member/member-control.ts";
import { afterimage } from "../cli/afterimage.ts";
import { startChild } from "../support/child-process.ts";
import { countEntries, createEntries, type EntryCounts } from "../support/entries.ts";
import { createSet, killDaemon, MIRROR, OPERATIONAL, PAIR, startAll } from "../support/mirror-set.ts";

const LOSSES = Number(process.env.AFTERIMAGE_LOSSES ?? 24);
/** Waiting for the set of one machine to start leaves a processor to others. */
const SIDE_BY_SIDE = 3;
const WRITER = new URL("../salvage/acknowledging-process.ts", import.meta.url);
const WRITERS = ["ana", "bento"];
const LONGEST_LIFE_MS = 900;

interface Loss {
  readonly salvaged: boolean;
  /** Transactions that the lost disk has and the promoted member does not. */
  readonly transactions: number;
}

test(`${LOSSES} losses under load: nothing is lost with a salvage, and without one what was announced`, async ({
  signal,
}) => {
  const losses: Loss[] = [];
  let begun = 0;
  const work = async () => {
    while (begun < LOSSES && !signal.aborted) losses.push(await lose(begun++));
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  const [with_, without] = [true, false].map((salvaged) => losses.filter((loss) => loss.salvaged === salvaged));
  const lost = without?.filter(({ transactions }) => transactions > 0) ?? [];
  const sum = lost.reduce((total, { transactions }) => total + transactions, 0);
  console.log(`${with_?.length} losses with a salvage: nothing was lost`);
  console.log(`${without?.length} without: ${sum} transactions were lost in ${lost.length} of them, as announced`);
  expect(losses).toHaveLength(LOSSES);
  expect(sum).toBeGreaterThan(0);
});

/** Kills writers and daemon, and promotes the mirror. Every kind of load and of rotation has its turn. */
async function lose(round: number): Promise<Loss> {
  const set = createSet(PAIR, { rotate: ["continuous", "* * * * * *"][round % 2] ?? "continuous" });
  const path = set.databasePath(OPERATIONAL);
  createEntries(path, round % 5 === 4 ? 1024 : 4096);
  await startAll(set);
  const base = txidOf(set.databaseStatus(MIRROR)?.integrated?.txid);
  const pause = String([0, 2, 10][Math.floor(round / 4) % 3]);
  const writers = WRITERS.map((name) => startChild(WRITER, [path, name, pause]));
  await Promise.all(writers.map((writer) => writer.line(() => true)));
  await sleep(Math.random() * LONGEST_LIFE_MS);
  const daemon = set.daemon(OPERATIONAL);
  if (daemon === null) throw new Error("no daemon");
  await Promise.all([...writers.map((writer) => writer.kill()), killDaemon(daemon)]);
  const acknowledged = Object.fromEntries(WRITERS.map((name, index) => [name, Number(writers[index]?.lines.at(-1))]));
  const onDisk = entriesOnDisk(set);
  for (const name of WRITERS) expect(onDisk[name]).toBeGreaterThanOrEqual(acknowledged[name] ?? 0);

  const salvaged = Math.floor(round / 2) % 2 === 0;
  if (salvaged) await command(set, "salvage", "--from", set.statePath(OPERATIONAL));
  const { promoted } = await command(set, "promote", "--force", OPERATIONAL);
  const kept = countEntries(set.databasePath(MIRROR));
  if (salvaged) expect(kept).toEqual(onDisk);
  const announced = txidOf(positionOf(promoted));
  expect({ round, commits: commitsOf(kept) }).toEqual({ round, commits: announced - base });
  const transactions = commitsOf(onDisk) - commitsOf(kept);
  expect(transactions).toBeGreaterThanOrEqual(0);
  await expectGoesOn(set, kept);
  await set.stopDaemons();
  expect(integrityCheck(set.databasePath(MIRROR))).toBe("ok");
  return { salvaged, transactions };
}

/** What SQLite shows of the lost disk, read in a copy. */
function entriesOnDisk(set: DemoSet): EntryCounts {
  const copy = join(set.root, "shown.db");
  const path = set.databasePath(OPERATIONAL);
  for (const file of ["", "-wal"]) if (existsSync(path + file)) copyFileSync(path + file, copy + file);
  // Opened once for writing: the WAL of a killed process has to be recovered.
  new Database(copy).exec("BEGIN IMMEDIATE; ROLLBACK").close();
  return countEntries(copy);
}

/** The writers put 300 rows into every 211th transaction, more or less; all others add one row. */
function commitsOf(rows: EntryCounts): number {
  let commits = 0;
  for (const name of WRITERS) {
    for (let row = 0; row < (rows[name] ?? 0); commits++) row += row % 211 === 210 ? 300 : 1;
  }
  return commits;
}

async function expectGoesOn(set: DemoSet, kept: EntryCounts): Promise<void> {
  const database = new Database(set.databasePath(MIRROR), { timeout: 5_000 });
  database.prepare("INSERT INTO entry VALUES ('after', 1, randomblob(100))").run();
  database.close();
  expect(countEntries(set.databasePath(MIRROR))).toEqual({ after: 1, ...kept });
}

async function command(set: DemoSet, ...args: string[]): Promise<{ readonly promoted: PromoteResult }> {
  const all = [...args, "--json", "--config", set.configPath, "--node", MIRROR];
  const { code, stdout, stderr } = await afterimage(all, { cwd: set.root });
  expect({ args, code, stderr: code === 0 ? "" : stdout + stderr }).toEqual({ args, code: 0, stderr: "" });
  return JSON.parse(stdout);
}

function positionOf({ databases: [database] }: PromoteResult): string {
  return database?.position?.split(":")[1] ?? "";
}

/** 16 hexadecimal digits. */
function txidOf(text = ""): number {
  return Number.parseInt(text, 16);
}

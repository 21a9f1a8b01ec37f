/**
 * The operational machine is lost under load, at random moments: writers and daemon are killed at once, and its files are
 * found somewhere else. After a salvage the mirror has every commit that a writer saw succeed, and shows what SQLite shows of
 * the lost disk.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { compareDatabases, integrityCheck, settleDatabase } from "../../src/demo/compare-databases.ts";
import { DATABASE, type DemoSet } from "../../src/demo/demo-set.ts";
import type { SalvagedDatabase, SalvageResult } from "../../src/salvage/salvage-result.ts";
import { afterimage, startAfterimage } from "../cli/afterimage.ts";
import { type RunningChild, startChild } from "../support/child-process.ts";
import { countEntries, createEntries } from "../support/entries.ts";
import { createSet, killDaemon, MIRROR, OPERATIONAL, PAIR, startAll } from "../support/mirror-set.ts";

const ROUNDS = Number(process.env.AFTERIMAGE_SALVAGES ?? 30);
const WRITER = new URL("../salvage/acknowledging-process.ts", import.meta.url);
const LONGEST_LIFE_MS = 900;
const LONGEST_SALVAGE_MS = 700;

test(`${ROUNDS} machines that are lost under load lose no commit once they are salvaged`, async ({ signal }) => {
  const seen = { wal: 0, difference: 0, none: 0, killed: 0, transactions: 0, unshipped: 0 };
  for (let round = 0; round < ROUNDS && !signal.aborted; round++) {
    const { set, acknowledged, disk } = await loseMachine(round);
    if (round % 3 === 2) seen.killed += await killedWhileSalvaging(set, disk);
    const result = await salvageAll(set, disk);
    seen[result.method]++;
    seen.transactions += result.transactions;
    seen.unshipped += result.unshippedSegments;
    expect(result).toMatchObject({ proved: true, error: null });
    const again = round % 3 === 0 ? await salvaged(set, disk) : null;
    if (again !== null) expect(again).toMatchObject({ code: 0, result: { outcome: "complete", proved: true } });
    await set.stopDaemons();
    expectWhatTheDiskShows(set, disk, acknowledged);
  }
  expect(seen.transactions).toBeGreaterThan(ROUNDS);
  console.log(`${ROUNDS} lost machines: ${JSON.stringify(seen)}`);
});

interface LostMachine {
  readonly set: DemoSet;
  readonly acknowledged: Readonly<Record<string, number>>;
  readonly disk: string;
}

/** Every kind of load and of rotation has its turn. */
async function loseMachine(round: number): Promise<LostMachine> {
  const set = createSet(PAIR, { rotate: ["continuous", "* * * * * *", "0 0 1 1 *"][round % 3] ?? "continuous" });
  const path = set.databasePath(OPERATIONAL);
  createEntries(path, round % 4 === 3 ? 1024 : 4096);
  await startAll(set);
  const pause = String([0, 2, 10][Math.floor(round / 3) % 3]);
  const writers: [string, RunningChild][] = ["ana", "bento"].map((name) => [
    name,
    startChild(WRITER, [path, name, pause]),
  ]);
  await Promise.all(writers.map(([, writer]) => writer.line(() => true)));
  // In every other round the mirror is down by then: segments wait, and later the command does all of the work.
  const mirror = set.daemon(MIRROR);
  if (round % 2 === 1 && mirror !== null) await killDaemon(mirror);
  if (round === 0) await expectRefusedWhileAlive(set);
  await sleep(Math.random() * LONGEST_LIFE_MS);
  const daemon = set.daemon(OPERATIONAL);
  if (daemon === null) throw new Error("no daemon");
  await Promise.all([...writers.map(([, writer]) => writer.kill()), killDaemon(daemon)]);
  const disk = join(set.root, "mnt");
  mkdirSync(join(disk, set.root), { recursive: true });
  renameSync(join(set.root, OPERATIONAL), join(disk, set.root, OPERATIONAL));
  const acknowledged = writers.map(([name, writer]) => [name, Number(writer.lines.at(-1))] as const);
  return { set, acknowledged: Object.fromEntries(acknowledged), disk };
}

async function expectRefusedWhileAlive(set: DemoSet): Promise<void> {
  const { code, stdout } = await afterimage(command(set, set.statePath(OPERATIONAL)), { cwd: set.root });
  expect([code, stdout]).toEqual([3, expect.stringContaining("SALVAGE_MEMBER_ALIVE")]);
}

/** What the page difference is needed for must be refused before. */
async function salvageAll(set: DemoSet, disk: string): Promise<SalvagedDatabase> {
  const first = await salvaged(set, disk);
  if (first.code === 0) return first.result;
  expect(first).toMatchObject({ code: 3, result: { error: { code: "SALVAGE_WAL_DIFFERENT" } } });
  return (await salvaged(set, disk, "--accept-difference")).result;
}

async function salvaged(set: DemoSet, disk: string, ...flags: string[]) {
  const { code, stdout, stderr } = await afterimage([...command(set, disk), ...flags], { cwd: set.root });
  const { databases }: Partial<SalvageResult> = JSON.parse(stdout);
  const [result] = databases ?? [];
  if (result === undefined) throw new Error(`${stdout}${stderr}`);
  return { code, result };
}

/** Kills the command at a random moment; 1 when it was still at work. */
async function killedWhileSalvaging(set: DemoSet, disk: string): Promise<number> {
  const { child, ended } = startAfterimage(command(set, disk), { cwd: set.root });
  await sleep(Math.random() * LONGEST_SALVAGE_MS);
  child.kill("SIGKILL");
  return (await ended).signal === "SIGKILL" ? 1 : 0;
}

function command(set: DemoSet, disk: string): string[] {
  return ["salvage", "--from", disk, "--json", "--config", set.configPath, "--node", MIRROR];
}

function expectWhatTheDiskShows(set: DemoSet, disk: string, acknowledged: Readonly<Record<string, number>>): void {
  const found = join(disk, set.databasePath(OPERATIONAL));
  const shown = join(set.root, "shown.db");
  for (const file of ["", "-wal"]) if (existsSync(found + file)) copyFileSync(found + file, shown + file);
  settleDatabase(shown);
  const mirror = set.databasePath(MIRROR);
  settleDatabase(mirror);
  expect(compareDatabases(shown, mirror)).toMatchObject({ identical: true });
  expect(integrityCheck(mirror)).toBe("ok");
  const rows = countEntries(mirror);
  for (const [writer, count] of Object.entries(acknowledged)) expect(rows[writer]).toBeGreaterThanOrEqual(count);
  const inbox = readdirSync(join(set.mailboxPath(MIRROR), "inbox", DATABASE, "0000000000000001"));
  // The shipper that was killed may leave the temporary file that it was writing.
  expect(inbox.filter((name) => !name.startsWith("."))).toEqual([]);
}

/**
 * How fast a mirror works off what waits for it: many small segments, and few large ones. Beside it Litestream's restore of
 * the very same files, and a copy of them.
 *
 * Every contender begins with nothing but the files, and ends when all of it is durable.
 */
import { execFile } from "node:child_process";
import { cpSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CLINIC, createClinic, databasePath, inboxPath, openMember, segmentsPath } from "../support/members.ts";
import { alternate, ratioOf } from "./alternate.ts";
import type { Benchmark, BenchOptions, BenchReport, BenchTable, Target } from "./benchmark.ts";
import { inDirectory } from "./in-directory.ts";
import { litestream } from "./peers.ts";
import { RowContents } from "./row-contents.ts";
import { spreadOf } from "./statistics.ts";

const INTEGRATING = fileURLToPath(new URL("./integrating-process.ts", import.meta.url));
const MIB = 1024 * 1024;
const run = promisify(execFile);

interface Scenario {
  readonly name: string;
  readonly segments: number;
  /** Rows that there are, and those that each segment changes; a row takes about a page of 4 KiB. */
  readonly rows: number;
  readonly changed: number;
}

const SCENARIOS: readonly Scenario[] = [
  { name: "small", segments: 10_000, rows: 5_000, changed: 1 },
  // They change a database of 80 MiB many times over, and one of 500 MiB but once or twice.
  { name: "large", segments: 100, rows: 20_000, changed: 4_000 },
  { name: "wide", segments: 50, rows: 130_000, changed: 4_000 },
];
const QUICK: readonly Scenario[] = [
  { name: "small", segments: 50, rows: 500, changed: 1 },
  { name: "large", segments: 3, rows: 1_000, changed: 500 },
];

export const catchup: Benchmark = {
  summary: "how fast a mirror integrates what waits: many small segments, few large ones",
  async run({ quick, only, rounds }: BenchOptions, say): Promise<BenchReport> {
    const peer = await litestream();
    const program = "path" in peer ? peer.path : null;
    const tables: BenchTable[] = [];
    const targets: Target[] = [];
    for (const scenario of quick ? QUICK : SCENARIOS) {
      if (only.length > 0 && !only.some((start) => scenario.name.startsWith(start))) continue;
      say(`${scenario.name}: making ${scenario.segments} segments`);
      const measured = await measure(scenario, rounds, program);
      tables.push(measured.table);
      targets.push(...measured.targets);
    }
    return { tables, targets, skipped: "skipped" in peer ? [`Litestream: ${peer.skipped}`] : [] };
  },
};

async function measure(
  scenario: Scenario,
  rounds: number,
  program: string | null,
): Promise<{ table: BenchTable; targets: Target[] }> {
  return await inDirectory(async (root) => {
    const journal = await makeJournal(root, scenario);
    await prepareReceived(root, journal);
    const contenders: Record<string, () => Promise<number>> = {
      received: () => integrateReceived(root, journal),
      arrived: () => integrateArrived(root, journal),
      ...(program === null ? {} : { litestream: () => restore(root, program) }),
      copy: () => copy(root),
    };
    return report(scenario, journal, await alternate(contenders, rounds));
  });
}

const TITLES: Readonly<Record<string, string>> = {
  received: "integrated, from the journal",
  arrived: "received and integrated, from the inbox",
  litestream: "litestream restore",
  copy: "cp, and fsync of each file",
};

function report(
  { name, segments }: Scenario,
  { bytes }: Journal,
  seconds: Record<string, number[]>,
): { table: BenchTable; targets: Target[] } {
  const { received = [], litestream, copy = [] } = seconds;
  const rows = Object.entries(seconds).map(([contender, values]) => [
    TITLES[contender] ?? contender,
    spreadOf(values),
    spreadOf(values.map((each) => segments / each)),
    spreadOf(values.map((each) => bytes / MIB / each)),
    litestream === undefined ? null : ratioOf(litestream, values),
    ratioOf(copy, values),
  ]);
  const columns = ["", "s", "segments/s", "MiB/s", "speed : litestream", "speed : cp"];
  const title = `catchup, ${name}: ${segments} segments and a snapshot, ${(bytes / MIB).toFixed(0)} MiB`;
  const targets: Target[] = [];
  if (litestream !== undefined) {
    const measured = ratioOf(litestream, received).median;
    targets.push({ name: `${name}, speed : litestream restore`, measured, atLeast: name === "small" ? 2 : 1 });
  }
  targets.push({ name: `${name}, speed : cp`, measured: ratioOf(copy, received).median, atLeast: 0.3 });
  return { table: { title, columns, rows }, targets };
}

interface Journal {
  readonly files: readonly string[];
  readonly bytes: number;
}

/** The operational member's journal: a snapshot, and then one segment for each commit. */
async function makeJournal(root: string, { segments, rows, changed }: Scenario): Promise<Journal> {
  const database = createClinic(databasePath(root, "lisbon"));
  const contents = new RowContents();
  const insert = database.prepare("INSERT INTO visit (note, scan) VALUES (?, ?)");
  database.transaction(() => {
    for (let row = 0; row < rows; row++) insert.run(`visit ${row}`, contents.next());
  })();
  const update = database.prepare("UPDATE visit SET scan = ? WHERE id = ?");
  const change = database.transaction((first: number) => {
    for (let i = 0; i < changed; i++) update.run(contents.next(), ((first + i) % rows) + 1);
  });
  await using member = await openMember(root, "lisbon");
  await member.rotate();
  for (let segment = 0; segment < segments; segment++) {
    change(Math.imul(segment, 2_654_435_761) >>> 0);
    await member.rotate();
  }
  const { journal, store } = member.context;
  const files = store.segments(CLINIC).map((row) => journal.path(row));
  database.close();
  return { files, bytes: files.reduce((sum, path) => sum + statSync(path).size, 0) };
}

/** A mirror's state in which everything is received and nothing integrated. */
async function prepareReceived(root: string, { files }: Journal): Promise<void> {
  deliver(root, files);
  const member = await openMember(root, "porto");
  await member.pause();
  await member.integrate();
  await member.resume();
  await member.close();
  renameSync(statePath(root), receivedPath(root));
}

function deliver(root: string, files: readonly string[]): void {
  const inbox = inboxPath(root, "porto");
  mkdirSync(inbox, { recursive: true });
  for (const path of files) linkSync(path, join(inbox, basename(path)));
}

async function integrateReceived(root: string, { files }: Journal): Promise<number> {
  await run("cp", ["-al", receivedPath(root), statePath(root)]);
  // Its segments never change, so that links will do; the state itself must be another file.
  for (const name of readdirSync(statePath(root)).filter((each) => each.startsWith("state.db"))) {
    rmSync(join(statePath(root), name));
    cpSync(join(receivedPath(root), name), join(statePath(root), name));
  }
  return await integrate(root, files.length);
}

async function integrateArrived(root: string, { files }: Journal): Promise<number> {
  deliver(root, files);
  return await integrate(root, files.length);
}

/** As a daemon does that runs already. */
async function integrate(root: string, segments: number): Promise<number> {
  await run("sync");
  const { stdout } = await run(process.execPath, [INTEGRATING, root, "porto"]);
  const { seconds, transactions }: { seconds: number; transactions: number } = JSON.parse(stdout);
  if (transactions < segments) throw new Error(`${transactions} of ${segments} segments were integrated`);
  for (const leftover of [statePath(root), join(root, "porto", "mailbox"), databasePath(root, "porto")])
    rmSync(leftover, { recursive: true, force: true });
  return seconds;
}

async function restore(root: string, program: string): Promise<number> {
  const restored = join(root, "restored.db");
  const seconds = await timed(program, ["restore", "-o", restored, `file://${dirname(segmentsPath(root, "lisbon"))}`]);
  rmSync(restored);
  return seconds;
}

async function copy(root: string): Promise<number> {
  const copied = join(root, "copied");
  const script = 'cp -r "$1" "$2" && find "$2" -type f -print0 | xargs -0 sync && sync "$2"';
  const seconds = await timed("sh", ["-c", script, "sh", segmentsPath(root, "lisbon"), copied]);
  rmSync(copied, { recursive: true });
  return seconds;
}

/** Seconds that the program takes, with nothing left to write of what came before. */
async function timed(program: string, args: readonly string[]): Promise<number> {
  await run("sync");
  const beganMs = performance.now();
  await run(program, args, { maxBuffer: 64 * MIB });
  return (performance.now() - beganMs) / 1000;
}

function statePath(root: string): string {
  return join(root, "porto", "state");
}

function receivedPath(root: string): string {
  return join(root, "received");
}

/**
 * What replication costs an application: commit latency, throughput, stalls and the size of the WAL, alone, beside the
 * operational daemon and beside Litestream, in turn. Both ship to a directory, as often as the other.
 */
import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { alternate, ratioOf } from "./alternate.ts";
import type { Benchmark, BenchOptions, BenchTable, Target } from "./benchmark.ts";
import { inDirectory } from "./in-directory.ts";
import { startReplicating } from "./litestream.ts";
import { litestream } from "./peers.ts";
import { spreadOf } from "./statistics.ts";
import type { WriterFigures } from "./writer-process.ts";

const WRITER = fileURLToPath(new URL("./writer-process.ts", import.meta.url));
const MEMBERS = [
  { member: "lisbon", follows: null },
  { member: "porto", follows: "lisbon" },
];
/** What `rotate: continuous` leaves between two segments unless told otherwise. */
const INTERVAL_MS = 50;
const FIGURES = {
  p50: "p50, ms",
  p99: "p99, ms",
  p999: "p99.9, ms",
  max: "max, ms",
  stalls: "over 50 ms, commits",
  perSecond: "commits/s",
  walMiB: "WAL, MiB",
} as const satisfies Record<keyof WriterFigures, string>;
const NAMES = Object.keys(FIGURES) as (keyof WriterFigures)[];
const run = promisify(execFile);

interface Scenario {
  readonly name: string;
  /** Commits a second; 0 for as many as it can. */
  readonly rate: number;
  /** MiB that a commit writes; 0 for a few rows. */
  readonly commitMiB: number;
  /** Whether a read transaction of another connection is open all the time. */
  readonly longReader: boolean;
}

const SCENARIOS: readonly Scenario[] = [
  { name: "1,000 commits a second", rate: 1000, commitMiB: 0, longReader: false },
  { name: "full speed", rate: 0, commitMiB: 0, longReader: false },
  { name: "large transactions of 64 MiB", rate: 0, commitMiB: 64, longReader: false },
  { name: "long reader, 1,000 commits a second", rate: 1000, commitMiB: 0, longReader: true },
];

type Results = Readonly<Record<string, readonly WriterFigures[]>>;

export const writers: Benchmark = {
  summary: "what replication costs an application: commit latency, throughput, stalls, size of the WAL",
  async run(options, say) {
    const peer = await litestream();
    const tables: BenchTable[] = [];
    const targets: Target[] = [];
    for (const scenario of SCENARIOS) {
      if (options.only.length > 0 && !options.only.some((start) => scenario.name.startsWith(start))) continue;
      say(`writers, ${scenario.name}`);
      const results = await measureAll(scenario, options, "path" in peer ? peer.path : null);
      tables.push(tableOf(scenario, results));
      if (scenario === SCENARIOS[0]) targets.push(...targetsOf(results));
    }
    return { tables, targets, skipped: "skipped" in peer ? [`Litestream: ${peer.skipped}`] : [] };
  },
};

async function measureAll(scenario: Scenario, options: BenchOptions, peer: string | null): Promise<Results> {
  const seconds = options.seconds ?? (options.quick ? 1 : 5);
  const measured = { ...scenario, commitMiB: options.quick ? Math.min(1, scenario.commitMiB) : scenario.commitMiB };
  const write = (path: string) => latencies(path, measured, seconds);
  const contenders: Record<string, () => Promise<WriterFigures>> = {
    alone: () => inDirectory((root) => alone(root, write)),
    afterimage: () => inDirectory((root) => besideAfterimage(root, write)),
  };
  if (peer !== null) contenders.litestream = () => inDirectory((root) => besideLitestream(root, peer, write));
  return await alternate(contenders, options.rounds);
}

function tableOf({ name }: Scenario, { alone = [], afterimage = [], litestream = [] }: Results): BenchTable {
  const rows = NAMES.map((figure) => {
    const bare = alone.map((each) => each[figure]);
    const beside = [afterimage, litestream].flatMap((runs) => {
      if (runs.length === 0) return [null, null];
      const theirs = runs.map((each) => each[figure]);
      return [spreadOf(theirs), figure === "stalls" ? null : ratioOf(theirs, bare)];
    });
    return [FIGURES[figure], spreadOf(bare), ...beside];
  });
  return { title: `writers, ${name}`, columns: ["", "alone", "Afterimage", "ratio", "Litestream", "ratio"], rows };
}

function targetsOf({ alone = [], afterimage = [] }: Results): Target[] {
  const of = (runs: readonly WriterFigures[], figure: keyof WriterFigures) => runs.map((each) => each[figure]);
  const ratio = (figure: keyof WriterFigures) => ratioOf(of(afterimage, figure), of(alone, figure)).median;
  const stalls = (runs: readonly WriterFigures[]) => of(runs, "stalls").reduce((sum, count) => sum + count, 0);
  return [
    { name: "commits a second, beside Afterimage over alone", measured: ratio("perSecond"), atLeast: 0.95 },
    { name: "p99, beside Afterimage over alone", measured: ratio("p99"), atMost: 1.25 },
    { name: "more commits over 50 ms than alone", measured: stalls(afterimage) - stalls(alone), atMost: 0 },
  ];
}

async function latencies(path: string, scenario: Scenario, seconds: number): Promise<WriterFigures> {
  const { rate, commitMiB, longReader } = scenario;
  const reader = longReader ? new Database(path, { readonly: true }) : null;
  try {
    reader?.exec("BEGIN; SELECT count(*) FROM entry");
    const args = [WRITER, path, String(seconds), String(rate), String(commitMiB)];
    const { stdout } = await run(process.execPath, args);
    return JSON.parse(stdout);
  } finally {
    reader?.close();
  }
}

async function alone(root: string, write: (path: string) => Promise<WriterFigures>): Promise<WriterFigures> {
  const path = join(root, "shop.db");
  createWritersDatabase(path);
  return await write(path);
}

async function besideAfterimage(root: string, write: (path: string) => Promise<WriterFigures>): Promise<WriterFigures> {
  const set = new DemoSet({ root, members: MEMBERS });
  const path = set.databasePath("lisbon");
  createWritersDatabase(path);
  mkdirSync(set.mailboxPath("porto"), { recursive: true });
  try {
    set.startDaemon("lisbon");
    const ready = () => (set.databaseStatus("lisbon")?.received ?? null) !== null;
    await waitUntil(ready, { what: "the daemon's first snapshot", stalledAfterMs: 30_000 });
    return await write(path);
  } finally {
    await set.stopDaemons();
  }
}

async function besideLitestream(
  root: string,
  program: string,
  write: (path: string) => Promise<WriterFigures>,
): Promise<WriterFigures> {
  const [database, replica] = [join(root, "shop.db"), join(root, "replica")];
  createWritersDatabase(database);
  const service = await startReplicating({
    program,
    root,
    database,
    replica,
    account: null,
    intervalMs: INTERVAL_MS,
  });
  try {
    return await write(database);
  } finally {
    await service.terminate();
  }
}

/** The database that a writer process fills. */
export function createWritersDatabase(path: string): void {
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE entry (id INTEGER PRIMARY KEY, note TEXT, amount INT)");
  database.exec("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INT)");
  database.exec("CREATE TABLE file (id INTEGER PRIMARY KEY, contents BLOB)");
  const insert = database.prepare("INSERT INTO account VALUES (?, 0)");
  for (let id = 0; id < 100; id++) insert.run(id);
  database.close();
}

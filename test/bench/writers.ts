/**
 * What the operational daemon costs an application: commit latency, throughput and the size of the WAL with it and without
 * it, in turn.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { ratioOf } from "./alternate.ts";
import type { Benchmark, BenchTable } from "./benchmark.ts";
import { spreadOf } from "./statistics.ts";
import type { WriterFigures } from "./writer-process.ts";

const WRITER = fileURLToPath(new URL("./writer-process.ts", import.meta.url));
const MEMBERS = [
  { member: "lisbon", follows: null },
  { member: "porto", follows: "lisbon" },
];
const SCENARIOS = [
  { name: "1,000 commits a second", rate: 1000 },
  { name: "full speed", rate: 0 },
];
const FIGURES = ["p50", "p99", "p999", "max", "perSecond", "walMiB"] as const;
const run = promisify(execFile);

export const writers: Benchmark = {
  summary: "what the daemon costs an application: commit latency, throughput, size of the WAL",
  async run({ rounds, seconds }) {
    const tables: BenchTable[] = [];
    for (const { name, rate } of SCENARIOS) {
      const alone: WriterFigures[] = [];
      const beside: WriterFigures[] = [];
      for (let round = 0; round < rounds; round++) {
        alone.push(await measure(rate, seconds ?? 5, "alone"));
        beside.push(await measure(rate, seconds ?? 5, "beside the daemon"));
      }
      const rows = FIGURES.map((figure) => {
        const [a, b] = [alone, beside].map((runs) => runs.map((run) => run[figure]));
        return [figure, spreadOf(a ?? []), spreadOf(b ?? []), ratioOf(b ?? [], a ?? [])];
      });
      tables.push({ title: `writers, ${name}`, columns: ["ms, commits/s, MiB", "alone", "beside", "ratio"], rows });
    }
    return { tables, targets: [], skipped: [] };
  },
};

async function measure(rate: number, seconds: number, how: "alone" | "beside the daemon"): Promise<WriterFigures> {
  const root = mkdtempSync(join(tmpdir(), "afterimage-bench-"));
  const set = new DemoSet({ root, members: MEMBERS });
  try {
    const path = set.databasePath("lisbon");
    createWritersDatabase(path);
    mkdirSync(set.mailboxPath("porto"), { recursive: true });
    if (how === "beside the daemon") {
      set.startDaemon("lisbon");
      const ready = () => (set.databaseStatus("lisbon")?.received ?? null) !== null;
      await waitUntil(ready, { what: "the daemon's first snapshot", stalledAfterMs: 30_000 });
    }
    const { stdout } = await run(process.execPath, [WRITER, path, String(seconds), String(rate)]);
    return JSON.parse(stdout);
  } finally {
    await set.stopDaemons();
    rmSync(root, { recursive: true, force: true });
  }
}

/** The database that a writer process fills. */
export function createWritersDatabase(path: string): void {
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE entry (id INTEGER PRIMARY KEY, note TEXT, amount INT)");
  database.exec("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INT)");
  const insert = database.prepare("INSERT INTO account VALUES (?, 0)");
  for (let id = 0; id < 100; id++) insert.run(id);
  database.close();
}

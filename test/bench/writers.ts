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
import { formatSpread, type Spread, spreadOf } from "./statistics.ts";
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
const UNITS: Partial<Record<keyof WriterFigures, string>> = { perSecond: "commits/s", walMiB: "MiB" };
const run = promisify(execFile);

export interface WritersOptions {
  readonly rounds: number;
  /** Of one run. */
  readonly seconds: number;
}

interface WritersResult {
  readonly scenario: string;
  readonly alone: Record<keyof WriterFigures, Spread>;
  readonly beside: Record<keyof WriterFigures, Spread>;
  /** Beside the daemon over alone, round by round. */
  readonly ratio: Record<keyof WriterFigures, Spread>;
}

export async function benchWriters(options: WritersOptions): Promise<WritersResult[]> {
  const results: WritersResult[] = [];
  for (const { name, rate } of SCENARIOS) {
    const alone: WriterFigures[] = [];
    const beside: WriterFigures[] = [];
    for (let round = 0; round < options.rounds; round++) {
      alone.push(await measure(rate, options.seconds, "alone"));
      beside.push(await measure(rate, options.seconds, "beside the daemon"));
    }
    const ratios = beside.map((figures, i) => divided(figures, alone[i] ?? figures));
    results.push({ scenario: name, alone: spreads(alone), beside: spreads(beside), ratio: spreads(ratios) });
  }
  return results;
}

export function formatWriters(results: readonly WritersResult[]): string[] {
  return results.flatMap(({ scenario, alone, beside, ratio }) => [
    `writers, ${scenario}`,
    ...FIGURES.map((figure) => {
      const columns = [alone, beside].map((side) =>
        `${formatSpread(side[figure])} ${UNITS[figure] ?? "ms"}`.padEnd(36),
      );
      return `  ${figure.padEnd(10)} alone ${columns[0]} beside ${columns[1]} ratio ${formatSpread(ratio[figure])}`;
    }),
  ]);
}

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

function spreads(runs: readonly WriterFigures[]): Record<keyof WriterFigures, Spread> {
  const of = (figure: keyof WriterFigures) => spreadOf(runs.map((run) => run[figure]));
  return {
    p50: of("p50"),
    p99: of("p99"),
    p999: of("p999"),
    max: of("max"),
    perSecond: of("perSecond"),
    walMiB: of("walMiB"),
  };
}

function divided(a: WriterFigures, b: WriterFigures): WriterFigures {
  return {
    p50: a.p50 / b.p50,
    p99: a.p99 / b.p99,
    p999: a.p999 / b.p999,
    max: a.max / b.max,
    perSecond: a.perSecond / b.perSecond,
    walMiB: a.walMiB / b.walMiB,
  };
}

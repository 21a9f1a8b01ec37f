/**
 * Whether costs grow with the database or with the journal: processor time for a commit and for a segment, commit latency, lag, memory
 * and the time of a start, for databases of 10 MiB to 8 GiB, and for journals of 100 to 100,000 segments. An application
 * changes rows at random places, at a fixed rate, so that only what the commits cost can make a difference.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { pino } from "pino";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { DATABASE, DemoSet } from "../../src/demo/demo-set.ts";
import { StateStore } from "../../src/journal/state-store.ts";
import { Member } from "../../src/member/member.ts";
import { peakResidentBytes, processorMs, residentBytes } from "../support/process-figures.ts";
import type { Benchmark, BenchOptions, Cell, Target } from "./benchmark.ts";
import { inDirectory } from "./in-directory.ts";
import { LagWatch, lastMark } from "./lag-watch.ts";
import type { RandomWriterFigures } from "./random-writer-process.ts";
import { percentile, type Spread, spreadOf } from "./statistics.ts";
import { untilSet } from "./until-set.ts";

const MIB = 1024 * 1024;
const WRITER = fileURLToPath(new URL("./random-writer-process.ts", import.meta.url));
const run = promisify(execFile);
const RATE = 100;
const ROUND_SECONDS = 6;
/** What a start leaves to be compiled and collected is over by then. */
const WARM_UP_COMMITS = 300;
/** Of a row of `entry`, which is a page. */
const ROW_BYTES = 4096;
const MEMBERS = [
  { member: "lisbon", follows: null },
  { member: "porto", follows: "lisbon" },
];

interface Scenario {
  readonly name: string;
  readonly mebibytes: number;
  /** In the journal before the daemons start; then there is no mirror, which would have to integrate them first. */
  readonly segments: number;
}

const SIZES: readonly Scenario[] = [
  { name: "10 MiB", mebibytes: 10, segments: 0 },
  { name: "100 MiB", mebibytes: 100, segments: 0 },
  { name: "1 GiB", mebibytes: 1024, segments: 0 },
  { name: "8 GiB", mebibytes: 8192, segments: 0 },
];
const JOURNALS: readonly Scenario[] = [
  { name: "100 segments", mebibytes: 10, segments: 100 },
  { name: "10,000 segments", mebibytes: 10, segments: 10_000 },
  { name: "100,000 segments", mebibytes: 10, segments: 100_000 },
];
const QUICK: readonly Scenario[] = [
  { name: "1 MiB", mebibytes: 1, segments: 0 },
  { name: "50 segments", mebibytes: 1, segments: 50 },
];

interface RoundFigures {
  readonly operationalMs: number;
  readonly mirrorMs: number | null;
  readonly segmentMs: number;
  readonly latency: RandomWriterFigures;
  readonly lagP50: number | null;
  readonly lagP99: number | null;
}

interface Figures {
  readonly rounds: readonly RoundFigures[];
  readonly startMs: number;
  readonly operationalMiB: number;
  readonly mirrorMiB: number | null;
}

export const growth: Benchmark = {
  summary: "what a commit costs as the database grows to 8 GiB and the journal to 100,000 segments",
  async run(options, say) {
    const measured = new Map<Scenario, Figures>();
    for (const scenario of scenariosOf(options)) {
      say(`growth, ${scenario.name}`);
      measured.set(scenario, await inDirectory((root) => measure(root, scenario, options, say)));
    }
    const title = `growth: ${RATE} commits a second at random places`;
    const rows = [...measured].map(([{ name }, figures]) => rowOf(name, figures));
    return { tables: [{ title, columns: COLUMNS, rows }], targets: targetsOf(measured), skipped: [] };
  },
};

function scenariosOf({ quick, only }: BenchOptions): readonly Scenario[] {
  const all = quick ? QUICK : [...SIZES, ...JOURNALS];
  return only.length === 0 ? all : all.filter(({ name }) => only.some((start) => name.startsWith(start)));
}

const COLUMNS = [
  "",
  "operational, CPU ms a commit",
  "a segment",
  "mirror, CPU ms a commit",
  "commit p50, ms",
  "p99",
  "lag p50, ms",
  "p99",
  "start, s",
  "operational, MiB (peak)",
  "mirror",
];

function rowOf(name: string, { rounds, startMs, operationalMiB, mirrorMiB }: Figures): Cell[] {
  return [
    name,
    spreadIn(rounds, ({ operationalMs }) => operationalMs),
    spreadIn(rounds, ({ segmentMs }) => segmentMs),
    spreadIn(rounds, ({ mirrorMs }) => mirrorMs),
    spreadIn(rounds, ({ latency }) => latency.p50),
    spreadIn(rounds, ({ latency }) => latency.p99),
    spreadIn(rounds, ({ lagP50 }) => lagP50),
    spreadIn(rounds, ({ lagP99 }) => lagP99),
    startMs / 1000,
    Math.round(operationalMiB),
    mirrorMiB === null ? null : Math.round(mirrorMiB),
  ];
}

function spreadIn(rounds: readonly RoundFigures[], figure: (round: RoundFigures) => number | null): Spread | null {
  const values = rounds.map(figure).filter((value) => value !== null);
  return values.length === 0 ? null : spreadOf(values);
}

function targetsOf(measured: ReadonlyMap<Scenario, Figures>): Target[] {
  const costOf = (scenario: Scenario | undefined) => {
    const figures = scenario === undefined ? undefined : measured.get(scenario);
    return figures === undefined ? null : spreadOf(figures.rounds.map(({ operationalMs }) => operationalMs)).median;
  };
  const targets: Target[] = [];
  for (const scenarios of [SIZES, JOURNALS]) {
    const [least, most] = [scenarios.at(0), scenarios.at(-1)];
    const [low, high] = [costOf(least), costOf(most)];
    if (low === null || high === null) continue;
    targets.push({ name: `CPU a commit, ${most?.name} over ${least?.name}`, measured: high / low, atMost: 1.25 });
  }
  const largest = SIZES.at(-1);
  const figures = largest === undefined ? undefined : measured.get(largest);
  if (figures !== undefined) {
    const names = { operational: figures.operationalMiB, mirror: figures.mirrorMiB ?? 0 };
    for (const [name, measured] of Object.entries(names))
      targets.push({ name: `peak memory for ${largest?.name}, ${name}, MiB`, measured, atMost: 300 });
  }
  return targets;
}

async function measure(
  root: string,
  scenario: Scenario,
  options: BenchOptions,
  say: (line: string) => void,
): Promise<Figures> {
  const hasMirror = scenario.segments === 0;
  const set = new DemoSet({ root, members: MEMBERS });
  const path = set.databasePath("lisbon");
  const rows = (scenario.mebibytes * MIB) / ROW_BYTES;
  createRows(path, rows);
  await cutSegments(set, scenario.segments, rows);
  try {
    const members = hasMirror ? ["lisbon", "porto"] : ["lisbon"];
    const beganMs = performance.now();
    for (const member of members) set.startDaemon(member);
    await untilSet(set, "the daemon serves", () => set.databaseStatus("lisbon")?.received != null);
    const firstMs = performance.now() - beganMs;
    if (hasMirror) await untilSet(set, "the mirror's copy", () => set.databaseStatus("porto")?.integrated != null);
    say(
      `  journal begun after ${(firstMs / 1000).toFixed(1)} s, level after ${((performance.now() - beganMs) / 1000).toFixed(1)} s`,
    );
    const { operational: creation } = memoryOf(set);
    say(`  peak until then ${creation?.toFixed(0)} MiB, segments in the journal: ${segmentsIn(set)}`);
    const startMs = scenario.segments > 0 ? firstMs : await restart(set);
    await commitTo(set, { commits: options.quick ? 10 : WARM_UP_COMMITS, rows, hasMirror });
    const rounds: RoundFigures[] = [];
    const seconds = options.seconds ?? (options.quick ? 1 : ROUND_SECONDS);
    for (let round = 0; round < options.rounds; round++)
      rounds.push(await commitTo(set, { commits: RATE * seconds, rows, hasMirror }));
    const { operational, mirror } = memoryOf(set);
    return {
      rounds,
      startMs,
      operationalMiB: Math.max(operational ?? 0, creation ?? 0),
      mirrorMiB: hasMirror ? mirror : null,
    };
  } finally {
    await set.stopDaemons();
  }
}

/** In place of the operational daemon another one, for a database that has its journal already. @returns until it serves. */
async function restart(set: DemoSet): Promise<number> {
  await set.daemon("lisbon")?.terminate();
  const before = set.status("lisbon")?.run?.start ?? 0;
  const beganMs = performance.now();
  set.startDaemon("lisbon");
  await untilSet(set, "the daemon serves again", () => (set.status("lisbon")?.run?.start ?? 0) > before);
  return performance.now() - beganMs;
}

function memoryOf(set: DemoSet): { operational: number | null; mirror: number | null } {
  const peak = (member: string) => {
    const pid = set.daemon(member)?.pid ?? null;
    return pid === null ? null : Math.max(peakResidentBytes(pid), residentBytes(pid)) / MIB;
  };
  return { operational: peak("lisbon"), mirror: peak("porto") };
}

/** Rows of a page each, made in one go: no journal is kept of it, and nothing is waited for. */
function createRows(path: string, rows: number): void {
  const database = new Database(path);
  database.pragma("journal_mode = OFF");
  database.pragma("synchronous = OFF");
  database.exec("CREATE TABLE mark (id INTEGER PRIMARY KEY, made INTEGER)");
  database.exec("CREATE TABLE entry (id INTEGER PRIMARY KEY, amount INT, note BLOB)");
  const numbers = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})`;
  database.exec(`${numbers} INSERT INTO entry SELECT i, i, zeroblob(3900) FROM n`);
  database.pragma("journal_mode = WAL");
  database.close();
}

/** Without a daemon: each commit becomes a segment. */
async function cutSegments(set: DemoSet, segments: number, rows: number): Promise<void> {
  if (segments === 0) return;
  const configuration = loadConfiguration(set.configPath);
  await using member = await Member.open({ configuration, member: "lisbon", logger: pino({ level: "silent" }) });
  const application = new Database(set.databasePath("lisbon"));
  application.pragma("synchronous = OFF");
  const change = application.prepare("UPDATE entry SET amount = amount + 1 WHERE id = ?");
  for (let segment = 0; segment < segments; segment++) {
    change.run(1 + ((segment * 7919) % rows));
    await member.rotate();
  }
  application.close();
}

async function commitTo(
  set: DemoSet,
  { commits, rows, hasMirror }: { commits: number; rows: number; hasMirror: boolean },
): Promise<RoundFigures> {
  const path = set.databasePath("lisbon");
  const watch = hasMirror ? new LagWatch([set.databasePath("porto")]) : null;
  const before = { operational: usedMs(set, "lisbon"), mirror: usedMs(set, "porto"), segments: segmentsIn(set) };
  const { stdout } = await run(process.execPath, [WRITER, path, String(commits), String(RATE), String(rows)]);
  const last = lastMark(path);
  await untilSet(set, "all commits are captured", () => watch?.shows(last) ?? true);
  const used = usedMs(set, "lisbon") - before.operational;
  const mirrorMs = usedMs(set, "porto") - before.mirror;
  const [lags = []] = (await watch?.stop()) ?? [];
  // What the journal got is in it a moment later, where no mirror shows it.
  if (!hasMirror) await sleep(500);
  return {
    operationalMs: used / commits,
    segmentMs: used / Math.max(1, segmentsIn(set) - before.segments),
    mirrorMs: hasMirror ? mirrorMs / commits : null,
    latency: JSON.parse(stdout),
    lagP50: hasMirror ? percentile(lags, 0.5) : null,
    lagP99: hasMirror ? percentile(lags, 0.99) : null,
  };
}

function usedMs(set: DemoSet, member: string): number {
  const pid = set.daemon(member)?.pid ?? null;
  return pid === null ? 0 : processorMs(pid);
}

/** By the catalogue: their directory may have a hundred thousand entries. */
function segmentsIn(set: DemoSet): number {
  using store = StateStore.openReadOnly(join(set.statePath("lisbon"), "state.db"));
  return store.segments(DATABASE, { kind: "segment" }).length;
}

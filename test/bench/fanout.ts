/**
 * What each further mirror costs the operational member, and how far behind the farthest is: hubs of 1 to 50 mirrors on one
 * machine over SFTP, a chain, a tree; and by fanout-model.ts, with the figures measured here, sets of up to 1,000.
 */
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type DemoMember, DemoSet } from "../../src/demo/demo-set.ts";
import { startSftpDaemons } from "../../src/demo/sftp-mailboxes.ts";
import { processorMs, residentBytes } from "../support/process-figures.ts";
import type { Benchmark, BenchOptions, BenchTable, Cell } from "./benchmark.ts";
import { type FanoutFigures, simulateFanout } from "./fanout-model.ts";
import { inDirectory } from "./in-directory.ts";
import { createMarks, LagWatch, lastMark } from "./lag-watch.ts";
import { bytesBetween, socketsOf } from "./socket-figures.ts";
import { percentile, type Spread, spreadOf } from "./statistics.ts";
import { untilSet } from "./until-set.ts";

const WRITER = fileURLToPath(new URL("./mark-writer-process.ts", import.meta.url));
const run = promisify(execFile);
const MIB = 1024 * 1024;
/** So few that fifty mirrors can keep up on two cores: all of them run on this machine. */
const RATE = 2;
const ROUND_SECONDS = 8;
const SETTLE_MS = 5_000;

interface Topology {
  readonly name: string;
  readonly mirrors: number;
  readonly degree: number;
}

const TOPOLOGIES: readonly Topology[] = [
  ...[1, 5, 10, 20, 50].map((mirrors) => ({ name: `hub of ${mirrors}`, mirrors, degree: mirrors })),
  { name: "chain of 5", mirrors: 5, degree: 1 },
  { name: "hub of 6", mirrors: 6, degree: 6 },
  { name: "tree of 2 and 4", mirrors: 6, degree: 2 },
];
const QUICK = TOPOLOGIES.filter(({ name }) => name === "hub of 1").concat({
  name: "chain of 2",
  mirrors: 2,
  degree: 1,
});

interface RoundFigures {
  readonly putMs: number;
  readonly processor: number;
  readonly putBytes: number;
  /** Of each mirror, the median. */
  readonly lagsMs: readonly number[];
}

interface Figures {
  /** Percent of a core while nothing is committed. */
  readonly idle: number;
  readonly rounds: readonly RoundFigures[];
  readonly connections: number;
  readonly memoryMiB: number;
}

export const fanout: Benchmark = {
  summary: "1 to 50 mirrors, chain and tree, on this machine; and simulated to 1,000",
  async run(options, say) {
    const measured = new Map<Topology, Figures>();
    for (const topology of topologiesOf(options)) {
      say(`fanout, ${topology.name}`);
      measured.set(topology, await inDirectory((root) => measure(root, topology, options)));
    }
    const tables = measured.size === 0 ? [] : [measuredTable(measured), simulatedTable(figuresOf(measured))];
    return { tables, targets: [], skipped: [] };
  },
};

function topologiesOf({ quick, only }: BenchOptions): readonly Topology[] {
  const all = quick ? QUICK : TOPOLOGIES;
  return only.length === 0 ? all : all.filter(({ name }) => only.includes(name));
}

function membersOf({ mirrors, degree }: Topology): DemoMember[] {
  const name = (index: number) => (index === 0 ? "lisbon" : `mirror-${index}`);
  const followers = Array.from({ length: mirrors }, (_, index) => ({
    member: name(index + 1),
    follows: name(Math.floor(index / degree)),
  }));
  return [{ member: "lisbon", follows: null }, ...followers];
}

async function measure(root: string, topology: Topology, options: BenchOptions): Promise<Figures> {
  const set = new DemoSet({ root, members: membersOf(topology) });
  createMarks(set.databasePath("lisbon"));
  try {
    await startSftpDaemons(set, (what, condition) => untilSet(set, what, condition));
    await untilSet(set, "every mirror has its copy", () =>
      set.mirrors.every(({ member }) => (set.databaseStatus(member)?.integrated ?? null) !== null),
    );
    const pid = set.daemon("lisbon")?.pid ?? 0;
    await commit(set, pid, topology, { seconds: 2 });
    await sleep(options.quick ? 0 : SETTLE_MS);
    const idle = await idleShare(pid, options.quick ? 1 : ROUND_SECONDS);
    const seconds = options.seconds ?? (options.quick ? 2 : ROUND_SECONDS);
    const rounds: RoundFigures[] = [];
    for (let round = 0; round < options.rounds; round++)
      rounds.push(await commit(set, pid, topology, { seconds, idle }));
    return { idle, rounds, connections: socketsOf(pid).connections.size, memoryMiB: residentBytes(pid) / MIB };
  } finally {
    await set.stopDaemons();
  }
}

/** Percent of a core. */
async function idleShare(pid: number, seconds: number): Promise<number> {
  const [beganMs, usedMs] = [performance.now(), processorMs(pid)];
  await sleep(seconds * 1000);
  return ((processorMs(pid) - usedMs) / (performance.now() - beganMs)) * 100;
}

/** Commits for some seconds, each of them a segment, and waits until every mirror shows the last. */
async function commit(
  set: DemoSet,
  pid: number,
  { mirrors, degree }: Topology,
  { seconds, idle = 0 }: { seconds: number; idle?: number },
): Promise<RoundFigures> {
  const commits = RATE * seconds;
  const path = set.databasePath("lisbon");
  const watch = new LagWatch(set.mirrors.map(({ member }) => set.databasePath(member)));
  const before = { atMs: performance.now(), usedMs: processorMs(pid), sockets: socketsOf(pid) };
  await run(process.execPath, [WRITER, path, String(commits), String(RATE)]);
  const last = lastMark(path);
  await untilSet(set, "every mirror shows the last commit", () => watch.shows(last));
  const lags = await watch.stop();
  const elapsedMs = performance.now() - before.atMs;
  const usedMs = processorMs(pid) - before.usedMs;
  const puts = commits * Math.min(mirrors, degree);
  return {
    putMs: Math.max(0, usedMs - (elapsedMs * idle) / 100) / puts,
    processor: (usedMs / elapsedMs) * 100,
    putBytes: bytesBetween(before.sockets, socketsOf(pid)).sent / puts,
    lagsMs: lags.map((each) => percentile(each, 0.5)),
  };
}

function measuredTable(measured: ReadonlyMap<Topology, Figures>): BenchTable {
  const columns = [
    "",
    "operational, idle, % of a core",
    "at work",
    "CPU ms a put",
    "bytes sent a put",
    "connections",
    "MiB",
    "least median lag, ms",
    "largest",
  ];
  const rows = [...measured].map(([{ name }, { idle, rounds, connections, memoryMiB }]): Cell[] => [
    name,
    idle,
    spreadIn(rounds, ({ processor }) => processor),
    spreadIn(rounds, ({ putMs }) => putMs),
    Math.round(spreadIn(rounds, ({ putBytes }) => putBytes).median),
    connections,
    Math.round(memoryMiB),
    spreadIn(rounds, ({ lagsMs }) => Math.min(...lagsMs)),
    spreadIn(rounds, ({ lagsMs }) => Math.max(...lagsMs)),
  ]);
  return { title: `fanout: ${RATE} commits a second, each a segment; all members on this machine`, columns, rows };
}

function spreadIn(rounds: readonly RoundFigures[], figure: (round: RoundFigures) => number): Spread {
  return spreadOf(rounds.map(figure));
}

/** What a put and a hop cost, from what was measured: the put from the largest hub, the hop from the longest chain. */
function figuresOf(measured: ReadonlyMap<Topology, Figures>): FanoutFigures {
  const all = [...measured];
  const largest = all.reduce((a, b) => (b[0].degree > a[0].degree ? b : a));
  const longest = all.reduce((a, b) => (b[0].mirrors / b[0].degree > a[0].mirrors / a[0].degree ? b : a));
  const putSeconds = spreadIn(largest[1].rounds, ({ putMs }) => putMs).median / 1000;
  const lagOf = (which: (lags: readonly number[]) => number) =>
    spreadIn(longest[1].rounds, ({ lagsMs }) => which(lagsMs)).median / 1000;
  const first = lagOf((lags) => Math.min(...lags));
  const hops = longest[0].mirrors / longest[0].degree - 1;
  const hop = hops < 1 ? first / 2 : (lagOf((lags) => Math.max(...lags)) - first) / hops;
  const hopSeconds = Math.max(0, hop - putSeconds);
  return {
    ...{ putSeconds, hopSeconds, cutSeconds: Math.max(0, first - hop) },
    ...{ segmentBytes: 64 * 1024, lineBytesPerSecond: 12.5e6, segmentsPerSecond: 1 },
  };
}

function simulatedTable(figures: FanoutFigures): BenchTable {
  const { putSeconds, hopSeconds, cutSeconds } = figures;
  const lines: readonly [string, number][] = [
    ["100 Mbit/s", 12.5e6],
    ["1 Gbit/s", 125e6],
  ];
  const rows = lines.flatMap(([line, lineBytesPerSecond]) =>
    [10, 100, 1000].flatMap((mirrors) =>
      [mirrors, 1, 4, 10, 32]
        .filter((degree, index) => index === 0 || degree < mirrors)
        .map((degree): Cell[] => {
          const { lagSeconds, load, depth } = simulateFanout(mirrors, degree, { ...figures, lineBytesPerSecond });
          const name = degree === mirrors ? "hub" : degree === 1 ? "chain" : `tree of ${degree}`;
          const lag = Number.isFinite(lagSeconds) ? lagSeconds.toFixed(2) : "falls behind";
          return [line, mirrors, name, depth, lag, (load * 100).toFixed(1)];
        }),
    ),
  );
  const ms = (seconds: number) => `${(seconds * 1000).toFixed(1)} ms`;
  const inputs = `put ${ms(putSeconds)} of CPU, hop ${ms(hopSeconds)}, cut ${ms(cutSeconds)}, segments of 64 KiB, one a second`;
  return {
    title: `fanout, simulated: ${inputs}`,
    columns: ["line of a member", "mirrors", "topology", "hops", "farthest, s", "busiest sender, %"],
    rows,
  };
}

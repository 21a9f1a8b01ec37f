/**
 * What idle databases cost: processor time, memory, bytes on the line and how often a process wakes up, of a pair of daemons over
 * SFTP on loopback, and of Litestream with file replicas. Each database has had one commit, and no application has it open.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { stringify } from "yaml";
import { type DemoMember, DemoSet } from "../../src/demo/demo-set.ts";
import { ManagedProcess } from "../../src/demo/managed-process.ts";
import { startSftpDaemons } from "../../src/demo/sftp-mailboxes.ts";
import { addVisit, clinicNames, countLevel, createVisits } from "../support/many-databases.ts";
import {
  peakResidentBytes,
  processorMs,
  proportionalBytes,
  residentBytes,
  sleeps,
} from "../support/process-figures.ts";
import type { Benchmark, BenchOptions, Cell, Target } from "./benchmark.ts";
import { litestream } from "./peers.ts";
import { bytesBetween, socketsOf } from "./socket-figures.ts";
import { type Spread, spreadOf } from "./statistics.ts";
import { untilSet } from "./until-set.ts";

const MIB = 1024 * 1024;
const COUNTS = [1, 100, 1000];
const QUICK_COUNTS = [1, 10];
const WINDOW_SECONDS = 12;
/** What the creation leaves to be collected and compiled is over by then. */
const SETTLE_MS = 20_000;
const MEMBERS: readonly DemoMember[] = [
  { member: "lisbon", follows: null },
  { member: "porto", follows: "lisbon" },
];
const COLUMNS = [
  "databases",
  "process",
  "% of a core",
  "RSS MiB",
  "PSS MiB",
  "peak MiB",
  "KiB sent/min",
  "KiB received/min",
  "connections",
  "wake-ups/s",
];

interface IdleFigures {
  readonly processor: Spread;
  readonly residentMiB: number;
  readonly proportionalMiB: number;
  readonly peakMiB: number;
  readonly sentKiB: number;
  readonly receivedKiB: number;
  readonly connections: number;
  readonly wakeUps: Spread;
}

export const idle: Benchmark = {
  summary: "1, 100 and 1,000 idle databases: processor, memory, bytes, connections; Litestream beside",
  async run(options, say) {
    const rows: Cell[][] = [];
    const targets: Target[] = [];
    const peer = await litestream();
    for (const count of countsOf(options)) {
      for (const [process, figures] of await measurePair(count, options, say)) {
        rows.push(rowOf(count, process, figures));
        if (count === 1000) targets.push(...targetsOf(process, figures));
      }
      if ("path" in peer)
        rows.push(rowOf(count, "litestream", await measureLitestream(peer.path, count, options, say)));
    }
    const skipped = "skipped" in peer ? [`Litestream: ${peer.skipped}`] : [];
    return { tables: [{ title: "idle databases", columns: COLUMNS, rows }], targets, skipped };
  },
};

function countsOf({ quick, only }: BenchOptions): number[] {
  const counts = quick ? QUICK_COUNTS : COUNTS;
  return only.length === 0 ? counts : counts.filter((count) => only.includes(String(count)));
}

function rowOf(count: number, process: string, figures: IdleFigures): Cell[] {
  const { processor, residentMiB, proportionalMiB, peakMiB, sentKiB, receivedKiB, connections, wakeUps } = figures;
  const fixed = [residentMiB, proportionalMiB, peakMiB, sentKiB, receivedKiB].map(Math.round);
  return [count, process, processor, ...fixed, connections, wakeUps];
}

function targetsOf(process: string, { processor, residentMiB }: IdleFigures): Target[] {
  return [
    { name: `1,000 idle databases, ${process}, % of a core`, measured: processor.median, atMost: 10 },
    { name: `1,000 idle databases, ${process}, MiB`, measured: residentMiB, atMost: 500 },
  ];
}

async function measurePair(
  count: number,
  options: BenchOptions,
  say: (line: string) => void,
): Promise<[string, IdleFigures][]> {
  const names = clinicNames(count);
  const set = new DemoSet({
    root: mkdtempSync(join(tmpdir(), "afterimage-bench-")),
    members: MEMBERS,
    databases: names,
  });
  try {
    const paths = names.map((name) => set.databasePath("lisbon", name));
    for (const path of paths) createVisits(path);
    const beganMs = performance.now();
    await startSftpDaemons(set, (what, condition) => untilSet(set, what, condition));
    await untilLevel(set, count, 1);
    for (const path of paths) addVisit(path);
    await untilLevel(set, count, 2);
    say(
      `${count} databases: mirrors made, and a commit to each integrated, in ${seconds(performance.now() - beganMs)} s`,
    );
    const pids = MEMBERS.map(({ member }) => set.daemon(member)?.pid ?? 0);
    const figures = await watch(pids, options);
    return figures.map((each, index) => [index === 0 ? "operational" : "mirror", each]);
  } finally {
    await set.stopDaemons();
    rmSync(set.root, { recursive: true, force: true });
  }
}

async function untilLevel(set: DemoSet, count: number, transactions: number): Promise<void> {
  const level = () => countLevel(set, "porto", transactions);
  const what = `${count} databases are at transaction ${transactions}`;
  await untilSet(
    set,
    what,
    () => level() === count,
    () => String(level()),
  );
}

async function measureLitestream(
  program: string,
  count: number,
  options: BenchOptions,
  say: (line: string) => void,
): Promise<IdleFigures> {
  const root = mkdtempSync(join(tmpdir(), "afterimage-bench-"));
  const paths = clinicNames(count).map((name) => join(root, `${name}.db`));
  for (const path of paths) createVisits(path);
  const replica = (path: string) => ({ url: pathToFileURL(`${path}-replica`).href });
  const config = join(root, "litestream.yml");
  writeFileSync(config, stringify({ dbs: paths.map((path) => ({ path, replica: replica(path) })) }));
  const daemon = ManagedProcess.start("litestream", program, ["replicate", "-config", config], join(root, "log"));
  try {
    for (const path of paths) addVisit(path);
    const [figures] = await watch([daemon.pid ?? 0], options);
    if (figures === undefined || daemon.exit !== null) throw new Error(`litestream ended: ${daemon.logTail()}`);
    say(`${count} databases: litestream watched`);
    return figures;
  } finally {
    await daemon.terminate();
    rmSync(root, { recursive: true, force: true });
  }
}

/** Several windows of time one after the other, of all processes at once. */
async function watch(pids: readonly number[], options: BenchOptions): Promise<IdleFigures[]> {
  const windowMs = (options.seconds ?? (options.quick ? 2 : WINDOW_SECONDS)) * 1000;
  await sleep(options.quick ? 0 : SETTLE_MS);
  const looks = [pids.map(lookAt)];
  for (let window = 0; window < options.rounds; window++) {
    await sleep(windowMs);
    looks.push(pids.map(lookAt));
  }
  return pids.map((pid, index) =>
    figuresOf(
      pid,
      looks.map((look) => look[index]).filter((look) => look !== undefined),
    ),
  );
}

function lookAt(pid: number) {
  return { atMs: performance.now(), processorMs: processorMs(pid), sleeps: sleeps(pid), sockets: socketsOf(pid) };
}

function figuresOf(pid: number, looks: readonly ReturnType<typeof lookAt>[]): IdleFigures {
  const [first, last] = [looks.at(0), looks.at(-1)];
  if (first === undefined || last === undefined) throw new Error("nothing was looked at");
  const windows = looks.slice(1).map((look, index) => ({ look, before: looks[index] ?? look }));
  const perMs = (figure: "processorMs" | "sleeps") =>
    windows.map(({ look, before }) => (look[figure] - before[figure]) / (look.atMs - before.atMs));
  const minutes = (last.atMs - first.atMs) / 60_000;
  const { sent, received } = bytesBetween(first.sockets, last.sockets);
  return {
    processor: spreadOf(perMs("processorMs").map((share) => share * 100)),
    residentMiB: residentBytes(pid) / MIB,
    proportionalMiB: proportionalBytes(pid) / MIB,
    peakMiB: peakResidentBytes(pid) / MIB,
    sentKiB: sent / 1024 / minutes,
    receivedKiB: received / 1024 / minutes,
    connections: last.sockets.connections.size,
    wakeUps: spreadOf(perMs("sleeps").map((each) => each * 1000)),
  };
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

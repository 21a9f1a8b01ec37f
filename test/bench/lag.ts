/**
 * How long a commit takes to become visible to a reader on a mirror, over SFTP on this machine; and to a reader of the copy
 * that Litestream's follower keeps, behind OpenSSH's server. Both ways can be made long.
 */
import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { DemoSet } from "../../src/demo/demo-set.ts";
import { freePorts } from "../../src/demo/free-ports.ts";
import { startSftpDaemons } from "../../src/demo/sftp-mailboxes.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { alternate, ratioOf } from "./alternate.ts";
import type { Benchmark, BenchOptions, BenchTable, Target } from "./benchmark.ts";
import { inDirectory } from "./in-directory.ts";
import { startFollowing, startReplicating } from "./litestream.ts";
import { type LongWay, startLongWay } from "./long-way.ts";
import type { LagFigures } from "./mark-reader-process.ts";
import { startOpenSsh } from "./open-ssh.ts";
import { litestream, programOnPath } from "./peers.ts";
import { spreadOf } from "./statistics.ts";

const WRITER = fileURLToPath(new URL("./mark-writer-process.ts", import.meta.url));
const READER = fileURLToPath(new URL("./mark-reader-process.ts", import.meta.url));
const COMMITS_PER_SECOND = 100;
const WARM_UP_SECONDS = 2;
const STALLED_AFTER_MS = 60_000;
/** What `rotate: continuous` leaves between two segments unless told otherwise. */
const OUR_INTERVAL_MS = 50;
const FIGURES = ["p50", "p99", "max", "missing"] as const;
const MEMBERS = [
  { member: "lisbon", follows: null },
  { member: "porto", follows: "lisbon" },
];
const run = promisify(execFile);

interface Scenario {
  readonly name: string;
  readonly rotate: string;
  readonly roundTripMs: number;
}

const SCENARIOS: readonly Scenario[] = [
  { name: "continuous", rotate: "continuous", roundTripMs: 0 },
  { name: "every second", rotate: "* * * * * *", roundTripMs: 0 },
  { name: "50 ms round trip", rotate: "continuous", roundTripMs: 50 },
  { name: "200 ms round trip", rotate: "continuous", roundTripMs: 200 },
];

interface Programs {
  readonly litestream: string;
  readonly sshd: string;
}

/** Litestream once with its own intervals, which are a second each, and once with ours; null where it was not measured. */
interface Results {
  readonly afterimage: readonly LagFigures[];
  readonly litestream: readonly LagFigures[] | null;
  readonly hurried: readonly LagFigures[] | null;
}

export const lag: Benchmark = {
  summary: "how long a commit takes to become visible on a mirror, beside Litestream's follower",
  async run(options, say) {
    const programs = await peerPrograms();
    const tables: BenchTable[] = [];
    const targets: Target[] = [];
    for (const scenario of SCENARIOS) {
      if (options.only.length > 0 && !options.only.some((start) => scenario.name.startsWith(start))) continue;
      say(`lag, ${scenario.name}`);
      const results = await measureAll(scenario, options, "skipped" in programs ? null : programs);
      tables.push(tableOf(scenario, results));
      if (scenario.name === "continuous") targets.push(...targetsOf(results));
    }
    return { tables, targets, skipped: "skipped" in programs ? [`Litestream's follower: ${programs.skipped}`] : [] };
  },
};

async function peerPrograms(): Promise<Programs | { readonly skipped: string }> {
  const sshd = programOnPath("sshd");
  if ("skipped" in sshd) return sshd;
  const tool = await litestream();
  return "skipped" in tool ? tool : { sshd: sshd.path, litestream: tool.path };
}

async function measureAll(scenario: Scenario, options: BenchOptions, programs: Programs | null): Promise<Results> {
  const seconds = options.seconds ?? (options.quick ? 1 : 10);
  const commits = COMMITS_PER_SECOND * (WARM_UP_SECONDS + seconds);
  const contenders: Record<string, () => Promise<LagFigures>> = {
    afterimage: () => inDirectory((root) => lagOfAfterimage(root, scenario, commits)),
  };
  if (programs !== null) {
    const follow = (intervalMs: number | null) =>
      inDirectory((root) => lagOfLitestream({ root, programs, intervalMs }, scenario, commits));
    contenders.litestream = () => follow(null);
    // On a long way it falls further and further behind when it is hurried.
    const mayHurry = scenario.rotate === "continuous" && scenario.roundTripMs === 0;
    if (mayHurry) contenders.hurried = () => follow(OUR_INTERVAL_MS);
  }
  const { afterimage = [], litestream = null, hurried = null } = await alternate(contenders, options.rounds);
  return { afterimage, litestream, hurried };
}

function tableOf({ name }: Scenario, { afterimage, litestream, hurried }: Results): BenchTable {
  const rows = FIGURES.map((figure) => {
    const ours = afterimage.map((each) => each[figure]);
    const others = [litestream, hurried].flatMap((peer) => {
      const theirs = peer?.map((each) => each[figure]) ?? null;
      if (theirs === null) return [null, null];
      return [spreadOf(theirs), figure === "missing" ? null : ratioOf(ours, theirs)];
    });
    return [figure === "missing" ? "commits never seen" : `${figure}, ms`, spreadOf(ours), ...others];
  });
  const columns = ["", "Afterimage", "Litestream", "ratio", `Litestream, every ${OUR_INTERVAL_MS} ms`, "ratio"];
  return { title: `lag, ${name}: from commit to visible`, columns, rows };
}

function targetsOf({ afterimage, litestream }: Results): Target[] {
  const p50 = spreadOf(afterimage.map((each) => each.p50)).median;
  const p99 = spreadOf(afterimage.map((each) => each.p99)).median;
  const targets: Target[] = [
    { name: "p50, ms", measured: p50, atMost: 60 },
    { name: "p99, ms", measured: p99, atMost: 250 },
  ];
  if (litestream === null) return targets;
  const theirs = spreadOf(litestream.map((each) => each.p50)).median;
  return [...targets, { name: "p50 of Litestream's follower over ours", measured: theirs / p50, atLeast: 10 }];
}

async function lagOfAfterimage(root: string, { rotate, roundTripMs }: Scenario, commits: number): Promise<LagFigures> {
  const set = new DemoSet({ root, members: MEMBERS, journal: { rotate } });
  await using stack = new AsyncDisposableStack();
  const ways = new Map<number, LongWay>();
  const choosePorts = async (count: number) => {
    const ports = await freePorts(count);
    if (roundTripMs > 0) for (const port of ports) ways.set(port, stack.use(await startLongWay(port, roundTripMs)));
    return ports;
  };
  const until = async (what: string, condition: () => boolean) => {
    const fallen = () => set.fallenDaemons()[0]?.logTail();
    const holds = () => {
      if (fallen() !== undefined) throw new Error(`a daemon ended: ${fallen()}`);
      return condition();
    };
    await waitUntil(holds, { what, stalledAfterMs: STALLED_AFTER_MS });
  };
  createMarks(set.databasePath("lisbon"));
  stack.defer(async () => void (await set.stopDaemons()));
  await startSftpDaemons(set, until, choosePorts, (port) => ways.get(port)?.port ?? port);
  await until("the mirror's copy", () => (set.databaseStatus("porto")?.integrated ?? null) !== null);
  return await readMarks(set.databasePath("lisbon"), set.databasePath("porto"), commits);
}

async function lagOfLitestream(
  { root, programs, intervalMs }: { root: string; programs: Programs; intervalMs: number | null },
  { roundTripMs }: Scenario,
  commits: number,
): Promise<LagFigures> {
  const [database, replica, copy] = [join(root, "shop.db"), join(root, "replica"), join(root, "copy.db")];
  createMarks(database);
  mkdirSync(replica);
  await using stack = new AsyncDisposableStack();
  const { account } = stack.use(await startOpenSsh(programs.sshd, join(root, "ssh")));
  const port = roundTripMs > 0 ? stack.use(await startLongWay(account.port, roundTripMs)).port : account.port;
  const options = { program: programs.litestream, root, database, replica, account: { ...account, port }, intervalMs };
  const service = await startReplicating(options);
  stack.defer(async () => void (await service.terminate()));
  const follower = await startFollowing(options, copy);
  stack.defer(async () => void (await follower.terminate()));
  return await readMarks(database, copy, commits);
}

function createMarks(path: string): void {
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE mark (id INTEGER PRIMARY KEY, made INTEGER)");
  database.close();
}

/** Lets an application commit to one database while a reader looks at the other one. */
async function readMarks(written: string, read: string, commits: number): Promise<LagFigures> {
  const reader = run(process.execPath, [READER, read, String(commits), String(COMMITS_PER_SECOND * WARM_UP_SECONDS)]);
  const writer = run(process.execPath, [WRITER, written, String(commits), String(COMMITS_PER_SECOND)]);
  const [{ stdout }] = await Promise.all([reader, writer]);
  return JSON.parse(stdout);
}

/**
 * How fast a new mirror gets its first state over SFTP: from the start of the operational member's daemon, which has its
 * snapshot, until the mirror's database can be read. Beside it copies of the same database by `sftp put`, rsync and
 * sqlite3_rsync. Then a hundredth of the mirror's pages is changed behind its back, and it is made equal again.
 */
import { execFile } from "node:child_process";
import { randomFillSync, randomInt } from "node:crypto";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { DemoSet } from "../../src/demo/demo-set.ts";
import { freePorts } from "../../src/demo/free-ports.ts";
import { endpointMailboxes } from "../../src/demo/sftp-mailboxes.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { connectControl } from "../../src/member/control-client.ts";
import { peakResidentBytes } from "../support/process-figures.ts";
import { alternate, ratioOf } from "./alternate.ts";
import type { Benchmark, BenchReport, BenchTable, Target } from "./benchmark.ts";
import { inDirectory } from "./in-directory.ts";
import { type SshAccount, startOpenSsh } from "./open-ssh.ts";
import { programOnPath } from "./peers.ts";
import { RowContents } from "./row-contents.ts";
import { spreadOf } from "./statistics.ts";

const PROGRAM = fileURLToPath(new URL("../../bin/afterimage", import.meta.url));
const OPERATIONAL = "lisbon";
const MIB = 1024 * 1024;
const PAGE_BYTES = 4096;
const PUT = "sftp put -f";
const SNAPSHOT_PUT = "sftp put -f of the snapshot";
const STALLED_AFTER_MS = 120_000;
const run = promisify(execFile);

interface Scenario {
  readonly name: string;
  readonly bytes: number;
  /** Whether it takes so long that it runs only when it is named. */
  readonly isLong: boolean;
}

const SCENARIOS: readonly Scenario[] = [
  { name: "1GiB", bytes: 1024 * MIB, isLong: false },
  { name: "8GiB", bytes: 8 * 1024 * MIB, isLong: true },
];
const QUICK: readonly Scenario[] = [{ name: "16MiB", bytes: 16 * MIB, isLong: false }];

export const seed: Benchmark = {
  summary:
    "a first state for a new mirror over SFTP, and a copy that differs in 1 % made equal again (8 GiB: --only 8GiB)",
  async run({ quick, only, rounds }, say): Promise<BenchReport> {
    const tables: BenchTable[] = [];
    const targets: Target[] = [];
    const skipped = new Set<string>();
    for (const scenario of quick ? QUICK : SCENARIOS) {
      const isChosen = only.length === 0 ? !scenario.isLong : only.some((start) => scenario.name.startsWith(start));
      if (!isChosen) continue;
      const measured = await measure(scenario, rounds, say);
      tables.push(...measured.tables);
      targets.push(...measured.targets);
      for (const line of measured.skipped) skipped.add(line);
    }
    return { tables, targets, skipped: [...skipped] };
  },
};

interface World {
  readonly set: DemoSet;
  /** Null when there is no sshd. */
  readonly account: SshAccount | null;
  readonly source: string;
  readonly root: string;
}

/** Of a seed, and of the resync after it. */
interface Seeded {
  readonly seconds: number;
  /** From the first sight of the snapshot in the inbox until it is whole there. */
  readonly shippedSeconds: number;
  readonly sentMiB: number;
  readonly operationalPeakMiB: number;
  readonly mirrorPeakMiB: number;
  readonly resyncSeconds: number;
  readonly resyncMiB: number;
}

async function measure(scenario: Scenario, rounds: number, say: (line: string) => void): Promise<BenchReport> {
  return await inDirectory(async (root) => {
    const server = programOnPath("sshd");
    if ("skipped" in server) return await measureIn({ root, account: null }, scenario, rounds, say);
    await using ssh = await startOpenSsh(server.path, join(root, "ssh"));
    return await measureIn({ root, account: ssh.account }, scenario, rounds, say);
  });
}

async function measureIn(
  place: Pick<World, "root" | "account">,
  scenario: Scenario,
  rounds: number,
  say: (line: string) => void,
): Promise<BenchReport> {
  const names = Array.from({ length: rounds }, (_, round) => `mirror${round}`);
  const members = [
    { member: OPERATIONAL, follows: null },
    ...names.map((member) => ({ member, follows: OPERATIONAL })),
  ];
  const set = new DemoSet({ root: join(place.root, "set"), members, journal: { rotate: "* * * * *" } });
  set.configure(endpointMailboxes(set, await freePorts(members.length)));
  const world: World = { ...place, set, source: set.databasePath(OPERATIONAL) };
  try {
    say(`${scenario.name}: making the database`);
    makeDatabase(world.source, scenario.bytes);
    say(`${scenario.name}: the operational member's first snapshot`);
    const snapshotSeconds = await takeSnapshot(world);
    const seeded: Seeded[] = [];
    const peers = peersOf(world);
    const seconds = await alternate<string, number>(
      {
        afterimage: async () => {
          const one = await seedMirror(world, names[seeded.length] ?? "", say);
          seeded.push(one);
          return one.seconds;
        },
        ...peers.contenders,
      },
      rounds,
    );
    return report({ scenario, seconds, seeded, snapshotSeconds }, peers.skipped);
  } finally {
    await set.stopDaemons();
  }
}

interface Measured {
  readonly scenario: Scenario;
  readonly seconds: Record<string, number[]>;
  readonly seeded: readonly Seeded[];
  readonly snapshotSeconds: number;
}

function report({ scenario, seconds, seeded, snapshotSeconds }: Measured, skipped: readonly string[]): BenchReport {
  const { afterimage = [], [PUT]: put, [SNAPSHOT_PUT]: snapshotPut } = seconds;
  const mib = scenario.bytes / MIB;
  const shipped = seeded.map(({ shippedSeconds }) => shippedSeconds);
  const rows = Object.entries(seconds).map(([name, values]) => [
    name,
    spreadOf(values),
    name === SNAPSHOT_PUT ? null : spreadOf(values.map((each) => mib / each)),
    put === undefined ? null : ratioOf(put, values),
  ]);
  const figure = (of: (one: Seeded) => number) => spreadOf(seeded.map(of));
  const share = figure(({ resyncMiB }) => (resyncMiB / mib) * 100);
  const peak = figure(({ operationalPeakMiB, mirrorPeakMiB }) => Math.max(operationalPeakMiB, mirrorPeakMiB));
  const details: BenchTable["rows"] = [
    ["the operational member's first snapshot, s", snapshotSeconds],
    ["shipping the snapshot, s", spreadOf(shipped)],
    ["shipping the snapshot, speed : sftp put of it", snapshotPut === undefined ? null : ratioOf(snapshotPut, shipped)],
    ["sent for a first state, MiB", figure(({ sentMiB }) => sentMiB)],
    ["peak memory of the operational daemon, MiB", figure(({ operationalPeakMiB }) => operationalPeakMiB)],
    ["peak memory of the mirror's daemon, MiB", figure(({ mirrorPeakMiB }) => mirrorPeakMiB)],
    ["resync of 1 % of the pages, s", figure(({ resyncSeconds }) => resyncSeconds)],
    ["sent for that, both ways, MiB", figure(({ resyncMiB }) => resyncMiB)],
    ["sent for that, % of the database", share],
  ];
  const targets: Target[] = [
    { name: `${scenario.name}, % sent to resync 1 %`, measured: share.median, atMost: 3 },
    { name: `${scenario.name}, MiB at the peak of a daemon`, measured: peak.median, atMost: 300 },
  ];
  if (put !== undefined) {
    const measured = ratioOf(put, afterimage).median;
    targets.push({
      name: `${scenario.name}, speed until it is readable : sftp put of the database`,
      measured,
      atLeast: 0.7,
    });
  }
  if (snapshotPut !== undefined) {
    const measured = ratioOf(snapshotPut, shipped).median;
    targets.push({
      name: `${scenario.name}, speed of the snapshot : sftp put of the same file`,
      measured,
      atLeast: 0.7,
    });
  }
  const title = `seed, ${scenario.name}, rows half text and half noise`;
  return {
    tables: [
      { title, columns: ["", "s", "MiB/s of the database", "speed : sftp put"], rows },
      { title: `seed, ${scenario.name}, Afterimage alone`, columns: ["", ""], rows: details },
    ],
    targets,
    skipped,
  };
}

function makeDatabase(path: string, bytes: number): void {
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE visit (id INTEGER PRIMARY KEY, scan BLOB)");
  const contents = new RowContents();
  const insert = database.prepare("INSERT INTO visit (scan) VALUES (?)");
  const fill = database.transaction((rows: number) => {
    for (let row = 0; row < rows; row++) insert.run(contents.next());
  });
  for (let left = Math.floor(bytes / PAGE_BYTES); left > 0; left -= 10_000) fill(Math.min(left, 10_000));
  database.close();
}

async function takeSnapshot({ set }: World): Promise<number> {
  const beganMs = performance.now();
  set.startDaemon(OPERATIONAL);
  const isCut = () => (set.databaseStatus(OPERATIONAL)?.received ?? null) !== null;
  await waitUntil(isCut, { what: "the first snapshot", stalledAfterMs: STALLED_AFTER_MS });
  const seconds = (performance.now() - beganMs) / 1000;
  // A difference from the first transaction of all would have every page, as LTX calls it a snapshot.
  const database = new Database(set.databasePath(OPERATIONAL));
  database.exec("INSERT INTO visit (scan) VALUES ('the second transaction')");
  database.close();
  const control = await connectControl(join(set.statePath(OPERATIONAL), "control.sock"));
  await control?.rotate();
  await set.stopDaemons();
  return seconds;
}

async function seedMirror({ set }: World, mirror: string, say: (line: string) => void): Promise<Seeded> {
  say(`${mirror}: its first state`);
  await run("sync");
  const mirrorDaemon = set.startDaemon(mirror);
  const isServing = () => set.status(mirror)?.reachable === true;
  await waitUntil(isServing, { what: `${mirror} serves`, stalledAfterMs: STALLED_AFTER_MS });
  const sentBefore = loopbackBytes();
  const beganMs = performance.now();
  const daemon = set.startDaemon(OPERATIONAL);
  const copy = set.databasePath(mirror);
  const shippedSeconds = await secondsOfArrival(join(set.mailboxPath(mirror), "inbox"));
  await waitUntil(() => isReadable(copy), { what: `${mirror} can be read`, stalledAfterMs: STALLED_AFTER_MS });
  const seconds = (performance.now() - beganMs) / 1000;
  const sentMiB = (loopbackBytes() - sentBefore) / MIB;
  const integrated = () => (set.databaseStatus(mirror)?.integrated ?? null) !== null;
  await waitUntil(integrated, { what: `${mirror} has integrated`, stalledAfterMs: STALLED_AFTER_MS });
  await mirrorDaemon.terminate();
  const peaks = { operationalPeakMiB: 0, mirrorPeakMiB: 0 };
  peaks.operationalPeakMiB = peakResidentBytes(daemon.pid ?? 0) / MIB;
  say(`${mirror}: resync`);
  changeHundredth(copy);
  const again = set.startDaemon(mirror);
  const isFound = () => (set.databaseStatus(mirror)?.error ?? null) !== null;
  await waitUntil(isFound, { what: "the change is found", stalledAfterMs: STALLED_AFTER_MS });
  const resyncFrom = loopbackBytes();
  const resyncMs = performance.now();
  await run(process.execPath, [PROGRAM, "rebuild", "shop", "--yes", "--config", set.configPath, "--node", mirror]);
  const resyncSeconds = (performance.now() - resyncMs) / 1000;
  const resyncMiB = (loopbackBytes() - resyncFrom) / MIB;
  peaks.mirrorPeakMiB = peakResidentBytes(again.pid ?? 0) / MIB;
  await set.stopDaemons();
  for (const path of [set.statePath(mirror), copy, `${copy}-wal`, `${copy}-shm`])
    rmSync(path, { recursive: true, force: true });
  return { seconds, shippedSeconds, sentMiB, ...peaks, resyncSeconds, resyncMiB };
}

async function secondsOfArrival(inbox: string): Promise<number> {
  const until = (what: string, pattern: RegExp) =>
    waitUntil(() => readdirSync(inbox, { recursive: true, encoding: "utf8" }).some((name) => pattern.test(name)), {
      what,
      stalledAfterMs: STALLED_AFTER_MS,
    });
  await until("the snapshot arrives", /\.ltx/);
  const beganMs = performance.now();
  await until("the snapshot has arrived", /\.ltx$/);
  return (performance.now() - beganMs) / 1000;
}

/** The file gets its name when it is whole and durable. */
function isReadable(path: string): boolean {
  if (!existsSync(path)) return false;
  const reader = new Database(path, { readonly: true });
  try {
    return reader.prepare("SELECT count(*) FROM visit WHERE id < 10").pluck().get() === 9;
  } finally {
    reader.close();
  }
}

/** Overwrites the ends of random pages: no daemon has the database open. */
function changeHundredth(path: string): void {
  const pages = Math.floor(statSync(path).size / PAGE_BYTES);
  const file = openSync(path, "r+");
  const noise = new Uint8Array(64);
  for (let i = 0; i < pages / 100; i++)
    writeSync(file, randomFillSync(noise), 0, noise.length, randomInt(2, pages) * PAGE_BYTES - noise.length);
  closeSync(file);
}

/** All that the loopback interface has carried, with everything that TCP and SSH add. */
function loopbackBytes(): number {
  return Number(readFileSync("/sys/class/net/lo/statistics/rx_bytes", "utf8"));
}

interface Peers {
  readonly contenders: Record<string, () => Promise<number>>;
  readonly skipped: readonly string[];
}

function peersOf({ account, set, source, root }: World): Peers {
  if (account === null)
    return { contenders: {}, skipped: ["sftp put, rsync and sqlite3_rsync: sshd is not installed"] };
  const target = join(root, "target");
  const trust = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"].map(
    (each) => `-o${each}`,
  );
  const options = ["-i", account.identity, ...trust].join(" ");
  const shell = `ssh -p ${account.port} ${options}`;
  const host = `${account.user}@127.0.0.1`;
  const put = `printf 'put -f "%s" "%s"\\n' "$1" "$2" | sftp -q -b - -P ${account.port} ${options} ${host}`;
  const send = (path: string) => ["sh", "-c", put, "sh", path, target];
  const commands: readonly Peer[] = [
    { name: PUT, program: "sftp", command: send(source) },
    { name: SNAPSHOT_PUT, program: "sftp", command: send(snapshotPath(set)) },
    {
      name: "rsync",
      program: "rsync",
      command: ["rsync", "--fsync", "--inplace", "--whole-file", "-e", shell, source, `${host}:${target}`],
    },
    {
      name: "sqlite3_rsync",
      program: "sqlite3_rsync",
      command: ["sqlite3_rsync", "--ssh", shell, source, `${host}:${target}`],
    },
  ];
  const contenders: Record<string, () => Promise<number>> = {};
  const skipped = new Set<string>();
  for (const { name, program, command } of commands) {
    const found = programOnPath(program);
    if ("skipped" in found) skipped.add(found.skipped);
    else contenders[name] = () => timedCopy(root, command);
  }
  return { contenders, skipped: [...skipped] };
}

interface Peer {
  readonly name: string;
  /** What must be installed. */
  readonly program: string;
  readonly command: readonly string[];
}

/** The largest file of the operational member's journal. */
function snapshotPath(set: DemoSet): string {
  const journal = join(set.statePath(OPERATIONAL), "journal");
  const files = readdirSync(journal, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ltx"))
    .map((name) => join(journal, name));
  return files.toSorted((one, other) => statSync(other).size - statSync(one).size)[0] ?? "";
}

async function timedCopy(root: string, [program = "", ...args]: readonly string[]): Promise<number> {
  await run("sync");
  const beganMs = performance.now();
  await run(program, args);
  const seconds = (performance.now() - beganMs) / 1000;
  for (const name of readdirSync(root).filter((each) => each.startsWith("target"))) rmSync(join(root, name));
  return seconds;
}

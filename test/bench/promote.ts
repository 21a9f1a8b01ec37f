/**
 * How long an application is without an operational member that takes its writes: from `afterimage promote`, after the
 * daemon of the operational member was killed, to the first commit on the member that takes over.
 */
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { DemoSet } from "../../src/demo/demo-set.ts";
import { freePorts } from "../../src/demo/free-ports.ts";
import { ManagedProcess } from "../../src/demo/managed-process.ts";
import { endpointMailboxes } from "../../src/demo/sftp-mailboxes.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { connectControl } from "../../src/member/control-client.ts";
import type { MemberControl } from "../../src/member/member-control.ts";
import type { Benchmark, BenchOptions, BenchReport } from "./benchmark.ts";
import { inDirectory } from "./in-directory.ts";
import { spreadOf } from "./statistics.ts";
import { createWritersDatabase } from "./writers.ts";

const PROGRAM = fileURLToPath(new URL("../../bin/afterimage", import.meta.url));
const LOST = "lisbon";
const PROMOTED = "porto";
const MEMBERS = [
  { member: LOST, follows: null },
  { member: PROMOTED, follows: LOST },
];
/** Longer than a promotion listens for a sign of life of the lost member. */
const SILENCE_MS = 11_000;
const RETRY_MS = 2;

interface Scenario {
  readonly name: string;
  /** Segments that were received and are not integrated. */
  readonly waiting: number;
  /** Whether the command comes when the lost member has been silent for {@link SILENCE_MS} already. */
  readonly silent: boolean;
  readonly force: boolean;
  /** Whether the lost member's host takes connections and says nothing, as one that hangs does; else it refuses them. */
  readonly mute?: boolean;
}

const SCENARIOS: readonly Scenario[] = [
  { name: "silent before, 0 waiting", waiting: 0, silent: true, force: false },
  { name: "silent before, 100 waiting", waiting: 100, silent: true, force: false },
  { name: "silent before, 1,000 waiting", waiting: 1_000, silent: true, force: false },
  { name: "silent before, its host hangs", waiting: 0, silent: true, force: false, mute: true },
  { name: "at once with --force, 0 waiting", waiting: 0, silent: false, force: true },
  { name: "at once, 0 waiting", waiting: 0, silent: false, force: false },
];

interface Measured {
  /** Seconds from the start of the command. */
  readonly firstWrite: number;
  readonly commandEnd: number;
}

export const promote: Benchmark = {
  summary: "from the command to the first commit on the member that takes over",
  async run(options, say): Promise<BenchReport> {
    const results = new Map<Scenario, Measured[]>(chosen(options).map((scenario) => [scenario, []]));
    for (let round = 0; round < options.rounds; round++) {
      say(`round ${round + 1} of ${options.rounds}`);
      await measureAll(results);
    }
    const rows = [...results].map(([{ name }, measured]) => [
      name,
      spreadOf(measured.map(({ firstWrite }) => firstWrite)),
      spreadOf(measured.map(({ commandEnd }) => commandEnd)),
    ]);
    const targets = [...results]
      .filter(([{ waiting, silent, force }]) => waiting === 0 && (silent || force))
      .map(([{ name }, measured]) => ({
        name: `${name}, s to the first write`,
        measured: spreadOf(measured.map(({ firstWrite }) => firstWrite)).median,
        atMost: 1,
      }));
    const table = { title: "promote, seconds from the command", columns: ["", "first write", "command ends"], rows };
    return { tables: [table], targets, skipped: [] };
  },
};

function chosen({ quick, only }: BenchOptions): Scenario[] {
  return SCENARIOS.filter(({ name }) => only.length === 0 || only.some((start) => name.startsWith(start))).filter(
    ({ silent, force }) => !quick || (!silent && force),
  );
}

/** All sets are made first, so that one wait for silence does for all of them. */
async function measureAll(results: ReadonlyMap<Scenario, Measured[]>): Promise<void> {
  await inDirectory(async (root) => {
    const sets = new Map<Scenario, DemoSet>();
    const hanging: Server[] = [];
    try {
      for (const scenario of results.keys()) sets.set(scenario, await makeSet(join(root, String(sets.size)), scenario));
      for (const [scenario, set] of sets) {
        if (scenario.silent) await set.killDaemon(LOST);
        if (scenario.mute === true) hanging.push(await hangAt(portOf(set, LOST)));
      }
      if ([...sets.keys()].some(({ silent }) => silent)) await delay(SILENCE_MS);
      for (const [scenario, set] of sets) {
        if (!scenario.silent) await set.killDaemon(LOST);
        results.get(scenario)?.push(await takeOver(set, scenario));
        await set.stopDaemons();
      }
    } finally {
      for (const set of sets.values()) await set.stopDaemons();
      for (const server of hanging) server.close();
    }
  });
}

/** Takes connections and never answers; they end with those who made them. */
async function hangAt(port: number): Promise<Server> {
  const server = createServer((socket) => socket.on("error", () => undefined)).listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function portOf({ configPath }: DemoSet, member: string): number {
  return Number(new URL(loadConfiguration(configPath).members.get(member)?.mailbox ?? "").port);
}

async function makeSet(root: string, { waiting }: Scenario): Promise<DemoSet> {
  const set = new DemoSet({ root, members: MEMBERS, journal: { rotate: "* * * * *" } });
  const { members, ssh } = endpointMailboxes(set, await freePorts(MEMBERS.length));
  const sections = [...members].map(([member, section]): [string, object] => [
    member,
    { ...section, ...(member === PROMOTED && waiting > 0 ? { delay: "1h" } : {}) },
  ]);
  createWritersDatabase(set.databasePath(LOST));
  set.configure({ members: new Map(sections), ssh });
  for (const { member } of MEMBERS.toReversed()) set.startDaemon(member);
  const what = "the mirror has what was committed";
  const received = (member: string) => set.databaseStatus(member)?.received?.txid ?? null;
  const isLevel = () => received(LOST) !== null && received(LOST) === received(PROMOTED);
  await waitUntil(isLevel, { what, stalledAfterMs: 30_000 });
  // The first state waits for no segment.
  await (await controlOf(set, PROMOTED)).integrate(undefined, { now: true });
  await cutSegments(set, waiting);
  await waitUntil(isLevel, { what, stalledAfterMs: 30_000, progress: () => JSON.stringify(received(PROMOTED)) });
  return set;
}

async function controlOf(set: DemoSet, member: string): Promise<MemberControl> {
  const control = await connectControl(join(set.statePath(member), "control.sock"));
  if (control === null) throw new Error(`the daemon of ${member} does not listen`);
  return control;
}

/** One segment for each commit. */
async function cutSegments(set: DemoSet, count: number): Promise<void> {
  const control = await controlOf(set, LOST);
  const database = new Database(set.databasePath(LOST));
  const insert = database.prepare("INSERT INTO entry (note, amount) VALUES ('waits', ?)");
  for (let i = 0; i < count; i++) {
    insert.run(i);
    await control.rotate();
  }
  database.close();
}

async function takeOver(set: DemoSet, { force }: Scenario): Promise<Measured> {
  const args = ["promote", "--config", set.configPath, "--node", PROMOTED, ...(force ? ["--force", LOST] : [])];
  const beganMs = performance.now();
  const command = ManagedProcess.start("promote", process.execPath, [PROGRAM, ...args], join(set.root, "promote.log"));
  let ended = false;
  const commandEnd = command.exited.then(({ code }) => {
    ended = true;
    if (code !== 0) throw new Error(`promote failed: ${command.logTail()}`);
    return (performance.now() - beganMs) / 1000;
  });
  while (!isWritten(set.databasePath(PROMOTED))) {
    if (ended) await commandEnd;
    await delay(RETRY_MS);
  }
  const firstWrite = (performance.now() - beganMs) / 1000;
  return { firstWrite, commandEnd: await commandEnd };
}

/** An application that opens the database anew for each attempt: a connection from before takes it for read-only. */
function isWritten(path: string): boolean {
  const database = new Database(path);
  try {
    database.prepare("INSERT INTO entry (note, amount) VALUES ('first', 1)").run();
    return true;
  } catch (error) {
    if (error instanceof Database.SqliteError && /^SQLITE_(READONLY|BUSY)/.test(error.code)) return false;
    throw error;
  } finally {
    database.close();
  }
}

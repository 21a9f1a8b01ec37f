/** A demotion that dies at every step is finished by the next daemon, or was never begun, and no commit is lost. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { ManagedProcess } from "../../src/demo/managed-process.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { RUNBOOK_STEPS } from "../../src/member/runbook-steps.ts";
import { afterimage, type Ended } from "../cli/afterimage.ts";
import { countEntries, createEntries } from "../support/entries.ts";
import {
  createSet,
  killDaemon,
  MIRROR,
  OPERATIONAL,
  PAIR,
  roleOf,
  startAll,
  untilLevel,
} from "../support/mirror-set.ts";

const LIMIT_MS = 400_000;
const DAEMON = join(import.meta.dirname, "killable-daemon.ts");
const WRITER = "application";
const STEPS = RUNBOOK_STEPS.filter((step) => step.startsWith("demote:"));
/** Who dies, and where: `mirror` is the one that takes over, while it is being shipped the rest. */
const CASES = [...STEPS, "mirror"];

test(`a demotion that dies at each of ${STEPS.length} steps, on either side, loses nothing`, {
  timeout: LIMIT_MS,
}, async ({ signal }) => {
  const set = createSet(PAIR);
  createEntries(set.databasePath(OPERATIONAL));
  await startAll(set);
  await untilLevel(set, countEntries);
  const application = new Application();
  let [from, to] = [OPERATIONAL, MIRROR];
  for (const death of CASES) {
    if (signal.aborted) return;
    await demoteAndDie({ set, from, to, application, death });
    [from, to] = [to, from];
  }
  expect(await set.stopDaemons()).toEqual([]);
  const paths = [OPERATIONAL, MIRROR].map((member) => set.databasePath(member));
  for (const path of paths) settleDatabase(path);
  expect(compareDatabases(paths[0] ?? "", paths[1] ?? "")).toMatchObject({ identical: true });
  console.log(
    `${CASES.length} deaths of a demotion, ${application.acknowledged} commits, none lost: ${CASES.join(", ")}`,
  );
});

interface Round {
  readonly set: DemoSet;
  readonly from: string;
  readonly to: string;
  readonly application: Application;
  readonly death: string;
}

/** One demotion of `from`, and the promotion of `to` after it. */
async function demoteAndDie({ set, from, to, application, death }: Round): Promise<void> {
  const doomed = await startDoomed(set, from, death);
  const writing = application.write(set.databasePath(from));
  const demotion = run(set, from, "demote", "--yes");
  if (death === "mirror") {
    await until(set, `${from} is demoted`, () => roleOf(set, from) === "demoted");
    await killDaemonOf(set, to);
    set.startDaemon(to);
    await demotion;
    await killDaemon(doomed);
  } else {
    expect((await doomed.exited).signal).toBe("SIGKILL");
    await demotion;
  }
  expect([death, roleOf(set, from)]).toEqual([death, death === "demote:consented" ? "operational" : "demoted"]);

  await restart(set, from);
  expect(await run(set, from, "demote", "--yes")).toMatchObject({ code: 0 });
  // An open connection has seen the fence, too.
  await writing;
  expect(await run(set, to, "promote")).toMatchObject({ code: 0 });
  await until(set, `${from} follows`, () => set.status(from)?.role === "mirror" && roleOf(set, from) === "mirror");
  const expected = { [WRITER]: application.acknowledged };
  for (const member of [to, from]) {
    await until(set, `${member} has every commit after ${death}`, () =>
      same(countEntries(set.databasePath(member)), expected),
    );
  }
  expect(set.status(from)?.errors).toEqual([]);
}

/** In place of the regular daemon. */
async function startDoomed(set: DemoSet, member: string, step: string): Promise<ManagedProcess> {
  await set.daemon(member)?.terminate();
  const before = set.status(member)?.heartbeat ?? "";
  const args = [DAEMON, set.configPath, member, step, "1"];
  const daemon = ManagedProcess.start(member, process.execPath, args, join(set.root, `${member}.log`));
  onTestFinished(() => daemon.kill("SIGKILL"));
  await untilServes(set, member, before);
  return daemon;
}

async function restart(set: DemoSet, member: string): Promise<void> {
  const before = set.status(member)?.heartbeat ?? "";
  set.startDaemon(member);
  await untilServes(set, member, before);
}

/** A command before that would do the work itself, and keep the daemon out. */
async function untilServes(set: DemoSet, member: string, heartbeat: string): Promise<void> {
  await until(set, `${member} serves`, () => {
    const status = set.status(member);
    return status?.reachable === true && (status.heartbeat ?? "") > heartbeat;
  });
}

async function killDaemonOf(set: DemoSet, member: string): Promise<void> {
  const daemon = set.daemon(member);
  if (daemon !== null) await killDaemon(daemon);
}

async function run(set: DemoSet, member: string, ...args: string[]): Promise<Ended> {
  return await afterimage([...args, "--config", set.configPath, "--node", member], { cwd: set.root });
}

function same(a: object, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Daemons are killed here, which is no fault. */
async function until(set: DemoSet, what: string, condition: () => boolean): Promise<void> {
  const progress = () => JSON.stringify([OPERATIONAL, MIRROR].map((member) => set.databaseStatus(member)?.received));
  await waitUntil(() => condition() || null, { what, stalledAfterMs: 60_000, progress });
}

/** Writes rows one by one, and remembers those that SQLite said were committed. */
class Application {
  acknowledged = 0;

  /** Until the database refuses writes. */
  async write(path: string): Promise<void> {
    const database = new Database(path, { timeout: 5_000 });
    const insert = database.prepare("INSERT INTO entry VALUES (?, ?, randomblob(300))");
    try {
      for (;;) {
        insert.run(WRITER, this.acknowledged + 1);
        this.acknowledged++;
        await sleep(5);
      }
    } catch (error) {
      if (!(error instanceof Database.SqliteError) || error.code !== "SQLITE_READONLY") throw error;
    } finally {
      database.close();
    }
  }
}

/** A rejoin that dies at every step, on either side, and is done in the end. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { DATABASE, type DemoSet } from "../../src/demo/demo-set.ts";
import { ManagedProcess } from "../../src/demo/managed-process.ts";
import type { ResyncStep } from "../../src/member/mirror-resync.ts";
import { RUNBOOK_STEPS } from "../../src/member/runbook-steps.ts";
import { startAfterimage } from "../cli/afterimage.ts";
import {
  type Diverged,
  divergedSet,
  expectAllEqual,
  expectRestorable,
  onMember,
  scribble,
  untilDeposed,
  untilDown,
  untilFollowing,
} from "../support/diverged-set.ts";
import { killDaemon, MIRROR, OPERATIONAL, PAIR } from "../support/mirror-set.ts";

const LIMIT_MS = 600_000;
const DAEMON = join(import.meta.dirname, "killable-daemon.ts");
const COMMAND = join(import.meta.dirname, "rejoining-process.ts");

/** What the copy goes through between `begun` and `copied`; the first is named only where a daemon runs already. */
const COPYING: Record<Exclude<ResyncStep, "resync-begun">, true> = {
  "resync-asked": true,
  "resync-verified": true,
  "resync-applied": true,
  "resync-adopted": true,
};

const STEPS = RUNBOOK_STEPS.filter((step) => step.startsWith("rejoin:"));
/** Up to here the command does it, with or without a daemon. */
const COMMANDED = STEPS.slice(0, STEPS.indexOf("rejoin:begun") + 1);
const ALL = [...COMMANDED, ...Object.keys(COPYING), ...STEPS.slice(COMMANDED.length)];

function start(set: DemoSet, script: string, step: string): ManagedProcess {
  const args = [script, set.configPath, OPERATIONAL, step, "1"];
  const child = ManagedProcess.start(OPERATIONAL, process.execPath, args, join(set.root, `${OPERATIONAL}.log`));
  onTestFinished(() => child.kill("SIGKILL"));
  return child;
}

async function restartMirror(set: DemoSet): Promise<void> {
  const daemon = set.daemon(MIRROR);
  if (daemon !== null) await killDaemon(daemon);
  set.startDaemon(MIRROR);
}

/** Until its status is this process's own: a command before that would do the work itself, and keep the daemon out. */
async function untilServed<T>(set: DemoSet, startIt: () => T): Promise<T> {
  const before = set.status(OPERATIONAL)?.heartbeat ?? "";
  const started = startIt();
  await untilDown(set, "the former member runs", () => {
    const { heartbeat, reachable } = set.status(OPERATIONAL) ?? {};
    return (heartbeat ?? "") > before && reachable === true;
  });
  return started;
}

function keptIn(set: DemoSet): string[] {
  const directory = join(set.statePath(OPERATIONAL), "diverged", DATABASE);
  return readdirSync(directory).map((name) => join(directory, name));
}

/** Rejoins at last, and finds one state that is kept, whole. */
async function expectDone(diverged: Diverged): Promise<void> {
  const { set, after } = diverged;
  await untilServed(set, () => set.startDaemon(OPERATIONAL));
  const rejoined = await onMember(set, OPERATIONAL, "rejoin", "--yes");
  expect([rejoined.code, rejoined.stderr]).toEqual([0, ""]);
  scribble(after, 99, 20);
  await untilFollowing(set, [OPERATIONAL]);
  const [directory = "", ...others] = keptIn(set);
  expect(others).toEqual([]);
  expect(existsSync(join(directory, "report.txt"))).toBe(true);
  expect(readdirSync(directory).filter((name) => name.startsWith("."))).toEqual([]);
  expect(set.databaseStatus(OPERATIONAL)?.warnings).toEqual([]);
  await expectRestorable(diverged, directory);
  await expectAllEqual(diverged);
}

test("a daemon that is killed at every step of its rejoin, and the other one with it, is done in the end", {
  timeout: LIMIT_MS,
}, async ({ signal }) => {
  const diverged = await divergedSet({ members: PAIR, seed: 41, uncut: 60 });
  const { set } = diverged;
  for (const step of ALL) {
    if (signal.aborted) break;
    const isCommanded = (COMMANDED as readonly string[]).includes(step);
    const startIt = () => start(set, DAEMON, step);
    const daemon = isCommanded ? await untilServed(set, startIt) : startIt();
    if (isCommanded) await onMember(set, OPERATIONAL, "rejoin", "--yes");
    expect([step, (await daemon.exited).signal]).toEqual([step, "SIGKILL"]);
    await restartMirror(set);
  }
  await expectDone(diverged);
  console.log(`rejoin, killed at its step: ${ALL.length} cases of the daemon`);
});

test("a command without a daemon that is killed at every step of a rejoin is done in the end", {
  timeout: LIMIT_MS,
}, async ({ signal }) => {
  const diverged = await divergedSet({ members: PAIR, seed: 43, uncut: 30 });
  const { set } = diverged;
  for (const step of COMMANDED) {
    if (signal.aborted) break;
    expect([step, (await start(set, COMMAND, step).exited).signal]).toEqual([step, "SIGKILL"]);
  }
  await expectDone(diverged);
  console.log(`rejoin, killed at its step: ${COMMANDED.length} cases of the command`);
});

test("the member that reigns is killed at every step of another one's rejoin, which goes on", {
  timeout: LIMIT_MS,
}, async () => {
  const diverged = await divergedSet({ members: PAIR, seed: 47, uncut: 30 });
  const { set } = diverged;
  await untilDeposed(set);
  const args = ["rejoin", "--yes", "--config", set.configPath, "--node", OPERATIONAL];
  const { child, ended } = startAfterimage(args, { cwd: set.root });
  let restarts = 0;
  let restarting = Promise.resolve();
  child.stdout?.on("data", (text: string) => {
    for (const _ of String(text).trimEnd().split("\n")) {
      restarting = restarting.then(() => restartMirror(set));
      restarts++;
    }
  });
  const { code, stderr } = await ended;
  expect([code, stderr]).toEqual([0, ""]);
  await restarting;
  await set.daemon(OPERATIONAL)?.terminate();
  await expectDone(diverged);
  console.log(`rejoin, the other member killed: ${restarts} times`);
});

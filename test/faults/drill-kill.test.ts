/** A drill that dies at every step, and at any moment, leaves the mirror as it is; the next one takes away what it left. */
import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { ManagedProcess } from "../../src/demo/managed-process.ts";
import { RUNBOOK_STEPS } from "../../src/member/runbook-steps.ts";
import { afterimage } from "../cli/afterimage.ts";
import { createSet, killDaemon, MIRROR, PAIR, startAll, stopAndCompare, untilLevel } from "../support/mirror-set.ts";
import { expectCleanReader, lookAtOrders, startApplication, startReader, stopApplication } from "../support/orders.ts";

const LIMIT_MS = 400_000;
const DRILL = join(import.meta.dirname, "drill-process.ts");
const ORDERS_PER_SECOND = 100;
const STEPS = RUNBOOK_STEPS.filter((step) => step.startsWith("drill:"));
const RANDOM_KILLS = 10;
const LONGEST_LIFE_MS = 1_500;

test(`a drill that dies at each of ${STEPS.length} steps and at ${RANDOM_KILLS} other moments disturbs nothing`, {
  timeout: LIMIT_MS,
}, async ({ signal }) => {
  const set = createSet(PAIR);
  const application = await startApplication(set, ORDERS_PER_SECOND);
  await startAll(set);
  const reader = await startReader(set, MIRROR);
  let left = 0;
  for (const step of STEPS) {
    if (signal.aborted) return;
    expect([step, (await start(set, step).exited).signal]).toEqual([step, "SIGKILL"]);
    left += leftovers(set).length;
  }
  for (let kill = 0; kill < RANDOM_KILLS && !signal.aborted; kill++) {
    const drill = start(set, "never");
    await Promise.race([drill.exited, sleep(Math.random() * LONGEST_LIFE_MS)]);
    await killDaemon(drill);
    left += leftovers(set).length;
  }
  const passed = await afterimage(["drill", "--json", "--node", MIRROR], { cwd: set.root });
  expect([passed.code, JSON.parse(passed.stdout)]).toMatchObject([0, { ok: true }]);
  expect(leftovers(set)).toEqual([]);

  const { committed, orders } = await stopApplication(application);
  expect(await untilLevel(set, lookAtOrders)).toEqual({ commits: committed, orders });
  expect(set.status(MIRROR)).toMatchObject({ role: "mirror", epoch: 1, errors: [] });
  await expectCleanReader(reader);
  await stopAndCompare(set);
  expect(left).toBeGreaterThan(0);
  console.log(
    `${STEPS.length + RANDOM_KILLS} deaths of a drill, ${left} of them left copies behind; ${committed} commits`,
  );
});

function start(set: DemoSet, step: string): ManagedProcess {
  const script = join(set.root, "script.sh");
  writeFileSync(script, "#!/bin/sh\ncat > /dev/null\n");
  chmodSync(script, 0o755);
  const args = [DRILL, set.configPath, MIRROR, step, script];
  const drill = ManagedProcess.start("drill", process.execPath, args, join(set.root, "drill.log"));
  onTestFinished(() => drill.kill("SIGKILL"));
  return drill;
}

function leftovers(set: DemoSet): string[] {
  return readdirSync(set.statePath(MIRROR)).filter((name) => name.startsWith("drill"));
}

/**
 * Switchovers there and back under writers, at each step of which one of the two daemons is killed and started again. Every
 * one ends done or undone: one member is operational, the other follows it, and at the end no commit is missing.
 */
import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { RUNBOOK_STEPS, type RunbookStep } from "../../src/member/runbook-steps.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import { afterimage } from "../cli/afterimage.ts";
import { countEntries, createEntries } from "../support/entries.ts";
import { createSet, MIRROR, OPERATIONAL, PAIR } from "../support/mirror-set.ts";
import { RoamingWriters } from "../support/roaming-writers.ts";
import { InstructedDaemons } from "./instructed-daemons.ts";

const LIMIT_MS = 480_000;
const STALLED_AFTER_MS = 60_000;
const TIMEOUT = "6s";
const UNDOING: readonly RunbookStep[] = ["switchover:withdrawing", "switchover:withdrawn", "switchover:undone"];
const STEPS = RUNBOOK_STEPS.filter((step) => step.startsWith("switchover:"));
const SIDES = ["old", "new"] as const;

interface Case {
  readonly step: RunbookStep;
  readonly side: (typeof SIDES)[number];
}

const CASES: readonly Case[] = STEPS.flatMap((step) => SIDES.map((side) => ({ step, side })));

/** Both members ask a hook that does not consent while a file is there. */
function addVeto(set: DemoSet): string {
  const veto = join(set.root, "veto");
  const hook = join(set.root, "before-promote");
  writeFileSync(hook, `#!/bin/sh\ntest ! -e ${veto}\n`);
  chmodSync(hook, 0o755);
  const configuration = parse(readFileSync(set.configPath, "utf8"));
  for (const member of [OPERATIONAL, MIRROR]) configuration.members[member].hooks = { beforePromote: hook };
  writeFileSync(set.configPath, stringify(configuration));
  return veto;
}

/** Waits until one member is operational and the other one follows it; returns who is, and who not. */
async function untilSettled(set: DemoSet, daemons: InstructedDaemons, signal: AbortSignal): Promise<[string, string]> {
  const sides = [
    [OPERATIONAL, MIRROR],
    [MIRROR, OPERATIONAL],
  ] as const;
  const settled = () => {
    for (const member of [OPERATIONAL, MIRROR])
      if (!daemons.isRunning(member)) throw new Error(`${member} ended: ${daemons.logTail(member)}`);
    const found = sides.find(([operational, mirror]) => {
      const [a, b] = [set.status(operational), set.status(mirror)];
      const isServed = a?.role === "operational" && a.state === "operational" && a.handover == null;
      return (
        isServed && b?.role === "mirror" && b.epoch === a.epoch && b.follows === operational && b.state === "connected"
      );
    });
    return found === undefined ? null : ([...found] as [string, string]);
  };
  const progress = () =>
    JSON.stringify(
      [OPERATIONAL, MIRROR].map((member) => [set.status(member)?.state, set.databaseStatus(member)?.integrated]),
    );
  return await waitUntil(settled, {
    what: "one serves and the other follows",
    stalledAfterMs: STALLED_AFTER_MS,
    progress,
    signal,
  });
}

/** Heartbeats move: what the statuses say is what the daemons that run now say. */
async function untilAlive(set: DemoSet, signal: AbortSignal): Promise<void> {
  const beats = () => [OPERATIONAL, MIRROR].map((member) => set.status(member)?.heartbeat ?? "");
  const first = beats();
  await waitUntil(() => beats().every((beat, i) => beat !== "" && beat !== first[i]), {
    what: "both daemons run",
    stalledAfterMs: STALLED_AFTER_MS,
    signal,
  });
}

test(`a daemon that is killed at any of ${STEPS.length} steps leaves a switchover that is done or undone`, {
  timeout: LIMIT_MS,
}, async ({ signal }) => {
  const set = createSet(PAIR);
  const veto = addVeto(set);
  const daemons = new InstructedDaemons(set);
  createEntries(set.databasePath(OPERATIONAL));
  for (const { member } of PAIR) daemons.start(member);
  const paths = PAIR.map(({ member }) => set.databasePath(member));
  const writers = new RoamingWriters(set.root, ["ana", "bento"], paths, 20);
  const outcomes = new Map<string, number>();
  let killed = 0;
  for (const { step, side } of CASES) {
    const [from, to] = await untilSettled(set, daemons, signal);
    const victim = side === "old" ? from : to;
    if (UNDOING.includes(step)) writeFileSync(veto, "");
    daemons.instruct(step, victim);
    const command = afterimage(["switchover", "--to", to, "--node", from, "--timeout", TIMEOUT], { cwd: set.root });
    let isOver = false;
    void command.finally(() => {
      isOver = true;
    });
    while (daemons.isRunning(victim) && !isOver && !signal.aborted) await sleep(5);
    await waitUntil(() => isOver || !daemons.isRunning(victim), { what: "it dies", stalledAfterMs: 5_000, signal });
    if (!daemons.isInstructed)
      await waitUntil(() => !daemons.isRunning(victim), { what: "it dies", stalledAfterMs: 5_000 });
    const wasKilled = !daemons.isRunning(victim);
    if (wasKilled) killed++;
    daemons.forget();
    rmSync(veto, { force: true });
    if (wasKilled) daemons.start(victim);
    await command;
    await untilAlive(set, signal);
    const [operational, mirror] = await untilSettled(set, daemons, signal);
    expect({ step, side, killed: wasKilled }).toEqual({ step, side, killed: true });
    expect([
      step,
      side,
      await isFenced(set.databasePath(operational)),
      await isFenced(set.databasePath(mirror)),
    ]).toEqual([step, side, false, true]);
    const outcome = operational === to ? "done" : "undone";
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  const { counts } = await writers.stop();
  for (const path of paths) {
    await waitUntil(() => JSON.stringify(countEntries(path)) === JSON.stringify(counts), {
      what: `${path} has every commit`,
      stalledAfterMs: STALLED_AFTER_MS,
      progress: () => JSON.stringify(countEntries(path)),
      signal,
    });
  }
  expect(await daemons.stop()).toEqual([]);
  const [first = "", second = ""] = paths;
  for (const path of paths) settleDatabase(path);
  expect(compareDatabases(first, second)).toMatchObject({ identical: true });
  console.log(
    `${killed} (step, side) cases of ${CASES.length}: ${JSON.stringify(Object.fromEntries(outcomes))}, ${JSON.stringify(counts)} commits`,
  );
});

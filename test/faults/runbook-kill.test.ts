/**
 * Commands that have no steps of the role's, killed with `kill -9` on either side: a salvage at each step that it prints, and
 * a fence and its removal at moments all over their work. Run again, they end done. Switchover, promotion, demotion, rejoin,
 * rebuild and drill have tests of their own.
 */
import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import { afterimage, startAfterimage } from "../cli/afterimage.ts";
import { startChild } from "../support/child-process.ts";
import { countEntries, createEntries, type EntryCounts } from "../support/entries.ts";
import { createSet, MIRROR, OPERATIONAL, PAIR, startAll, untilReadable } from "../support/mirror-set.ts";

const LIMIT_MS = 400_000;
const WRITER = new URL("../salvage/acknowledging-process.ts", import.meta.url);
/** How each line begins that a salvage prints at a step. */
const SALVAGE_STEPS = ["looking for", `${OPERATIONAL}: its`, "shop: 1 segments", "shop: delivered"];
const SIDES = ["command", "daemon"] as const;
/** About what a command takes, from its start. */
const FENCE_MS = 800;
const FENCES = 12;

test(`a salvage that is killed at each of ${SALVAGE_STEPS.length} steps, on either side, loses nothing`, {
  timeout: LIMIT_MS,
}, async ({ signal }) => {
  let cases = 0;
  for (const step of SALVAGE_STEPS) {
    for (const side of SIDES) {
      if (signal.aborted) return;
      await salvageAndKill(step, side);
      cases++;
    }
  }
  console.log(`(salvage, step, side): ${cases} cases, nothing lost`);
});

async function salvageAndKill(step: string, side: (typeof SIDES)[number]): Promise<void> {
  // Nothing is cut before the loss: the WAL has all of it.
  const set = createSet(PAIR, { rotate: "0 0 1 1 *" });
  createEntries(set.databasePath(OPERATIONAL));
  await startAll(set);
  const writer = startChild(WRITER, [set.databasePath(OPERATIONAL), "ana", "1"]);
  await writer.line((line) => Number(line) > 50);
  await Promise.all([writer.kill(), set.killDaemon(OPERATIONAL)]);
  const acknowledged = Number(writer.lines.at(-1));
  const disk = join(set.root, "mnt");
  mkdirSync(join(disk, set.root), { recursive: true });
  renameSync(join(set.root, OPERATIONAL), join(disk, set.root, OPERATIONAL));

  const args = ["salvage", "--from", disk, "--config", set.configPath, "--node", MIRROR];
  const { child, ended } = startAfterimage(args, { cwd: set.root });
  const seen = new Promise<void>((resolve) => {
    child.stderr?.on("data", (text: string) => text.includes(step) && resolve());
  });
  await Promise.race([seen, ended]);
  if (side === "command") child.kill("SIGKILL");
  else await set.killDaemon(MIRROR);
  const { stderr } = await ended;
  expect(stderr).toContain(step);
  if (side === "daemon") {
    set.startDaemon(MIRROR);
    await untilReadable(set, MIRROR);
  }
  expect(await afterimage(args, { cwd: set.root })).toMatchObject({ code: 0 });
  const rows: EntryCounts = countEntries(set.databasePath(MIRROR));
  expect(rows.ana).toBeGreaterThanOrEqual(acknowledged);
  await set.stopDaemons();
}

test(`a fence and its removal that are killed ${2 * FENCES} times are done when they are run again`, {
  timeout: LIMIT_MS,
}, async ({ signal }) => {
  const set = createSet(PAIR);
  const path = set.databasePath(OPERATIONAL);
  createEntries(path);
  await startAll(set);
  const undone = { fence: 0, unfence: 0 };
  for (let round = 0; round < 2 * FENCES && !signal.aborted; round++) {
    const command = round % 2 === 0 ? "fence" : "unfence";
    const args = [command, "--config", set.configPath, "--node", OPERATIONAL];
    const { child, ended } = startAfterimage(args, { cwd: set.root });
    await sleep((FENCE_MS * (Math.floor(round / 4) + 1)) / (FENCES / 2));
    if (round % 4 < 2) child.kill("SIGKILL");
    else await restart(set);
    await ended;
    if ((await isFenced(path)) !== (command === "fence")) undone[command]++;
    expect(await afterimage(args, { cwd: set.root })).toMatchObject({ code: 0 });
    expect([command, await isFenced(path)]).toEqual([command, command === "fence"]);
    expect([command, refusesWrites(path)]).toEqual([command, command === "fence"]);
  }
  console.log(
    `(fence and unfence, moment, side): ${2 * FENCES} cases, of which not done when killed: ${JSON.stringify(undone)}`,
  );
  await set.stopDaemons();
});

async function restart(set: DemoSet): Promise<void> {
  await set.killDaemon(OPERATIONAL);
  set.startDaemon(OPERATIONAL);
}

function refusesWrites(path: string): boolean {
  const database = new Database(path, { timeout: 5_000 });
  try {
    database.exec("INSERT INTO entry SELECT 'x', coalesce(max(number), 0) + 1, x'00' FROM entry");
    return false;
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code.startsWith("SQLITE_READONLY")) return true;
    throw error;
  } finally {
    database.close();
  }
}

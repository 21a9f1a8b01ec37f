/**
 * Foreign processes that try to write, to leave WAL mode and to checkpoint in tight loops, while the integrating process
 * is killed, and now and then one of them. AFTERIMAGE_TEST_KILLS sets the number of kills.
 */
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { addFigures, Child, type ReaderFigures, type RogueFigures } from "./child-fleet.ts";
import { type Death, KilledMirror, STEPS } from "./killed-mirror.ts";
import { writeHistory } from "./mirror-history.ts";

const KILLS = Number(process.env.AFTERIMAGE_TEST_KILLS ?? 100);
const CHANGES = 400;
const KILLS_PER_LAP = 25;
const KILLS_PER_ROGUE_KILL = 4;

test("no foreign process changes a mirror or makes it show a wrong state, even while its integrator is killed", async ({
  signal,
}) => {
  const directory = temporaryDirectory();
  const mirror = new KilledMirror(directory, writeHistory(directory, CHANGES));
  const readers: ReaderFigures[] = [];
  const rogues: RogueFigures[] = [];
  let roguesKilled = 0;
  let attempts = 0;
  while (mirror.killed < KILLS && !signal.aborted) {
    await mirror.restart();
    const reader = mirror.laps % 3 === 0 ? null : new Child("reading-process.ts", [mirror.path, "5000"]);
    await reader?.started();
    const mob = MANNERS.map((manner) => startRogue(mirror.path, manner));
    for (let i = 0; i < KILLS_PER_LAP && mirror.killed < KILLS; i++) {
      if (!(await mirror.killOnce(nextDeath(attempts++)))) break;
      if (i % KILLS_PER_ROGUE_KILL === 0) await replaceOne(mob, mirror.path, i / KILLS_PER_ROGUE_KILL);
      if (i % KILLS_PER_ROGUE_KILL === 0) roguesKilled++;
    }
    await mirror.complete();
    for (const rogue of mob) rogues.push(await rogue.finish<RogueFigures>());
    if (reader !== null) readers.push(await reader.finish<ReaderFigures>());
  }
  const seen = addFigures(readers, { reads: 0, wrong: [], states: 0, integrityChecks: 0, errors: {} });
  const tried = addFigures(rogues, { refused: 0, written: [], checkpoints: 0, errors: {} });
  console.log(
    `${mirror.killed} kills of the integrator in ${attempts} attempts, ${roguesKilled} of rogues, ${mirror.laps} laps:`,
    mirror.kills,
  );
  console.log("rogues:", { ...tried, written: tried.written.length }, "reader:", { ...seen, wrong: seen.wrong.length });
  expect(tried.written).toEqual([]);
  expect(seen.wrong).toEqual([]);
  expect(tried.refused).toBeGreaterThan(0);
  expect(tried.checkpoints).toBeGreaterThan(0);
  expect(seen.reads).toBeGreaterThan(0);
});

const MANNERS = [
  ["keep", "0"],
  ["keep", "1000"],
  ["reopen", "0"],
] as const;

function startRogue(path: string, manner: (typeof MANNERS)[number]): Child {
  return new Child("rogue-process.ts", [path, ...manner]);
}

async function replaceOne(mob: Child[], path: string, turn: number): Promise<void> {
  const at = turn % mob.length;
  const manner = MANNERS[at];
  const rogue = mob[at];
  if (rogue === undefined || manner === undefined) return;
  rogue.kill();
  await rogue.exit;
  mob[at] = startRogue(path, manner);
}

/** By attempt, not by kill: where rogues checkpoint all the time, some steps of the mirror's own checkpoint rarely come. */
function nextDeath(attempt: number): Death {
  const step = STEPS[Math.floor(attempt / 2) % STEPS.length];
  return attempt % 2 === 0 && step !== undefined ? { step } : "any moment";
}

/**
 * kill -9 at every named step of an integration and at random moments, with readers open and without. AFTERIMAGE_TEST_KILLS
 * sets the number of kills.
 */
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { addFigures, Child, type ReaderFigures } from "./child-fleet.ts";
import { type Death, KilledMirror, STEPS } from "./killed-mirror.ts";
import { writeHistory } from "./mirror-history.ts";

const KILLS = Number(process.env.AFTERIMAGE_TEST_KILLS ?? 200);
const CHANGES = 400;
const KILLS_PER_LAP = 40;

test("whatever step a kill -9 comes at, readers see the state before or after, and nothing is lost", async ({
  signal,
}) => {
  const directory = temporaryDirectory();
  const mirror = new KilledMirror(directory, writeHistory(directory, CHANGES));
  const figures: ReaderFigures[] = [];
  while (mirror.killed < KILLS && !signal.aborted) {
    await mirror.restart();
    // Without readers the last process to die leaves the WAL to whoever comes next, who rebuilds the wal-index.
    const readers = mirror.laps % 3 === 0 ? [] : await startReaders(mirror.path);
    await killThroughLap(mirror);
    await mirror.complete();
    for (const reader of readers) figures.push(await reader.finish<ReaderFigures>());
  }
  const total = addFigures(figures, { reads: 0, wrong: [], states: 0, integrityChecks: 0, errors: {} });
  console.log(
    `${mirror.killed} kills, ${mirror.laps} laps, ${mirror.adopted} commits found on opening, by step:`,
    mirror.kills,
  );
  console.log("readers:", { ...total, wrong: total.wrong.length });
  expect(total.wrong).toEqual([]);
  expect(total.reads).toBeGreaterThan(0);
});

async function startReaders(path: string): Promise<Child[]> {
  const readers = [0, 5000].map((timeout) => new Child("reading-process.ts", [path, String(timeout)]));
  for (const reader of readers) await reader.started();
  return readers;
}

async function killThroughLap(mirror: KilledMirror): Promise<void> {
  for (let i = 0; i < KILLS_PER_LAP && mirror.killed < KILLS; i++) {
    if (!(await mirror.killOnce(nextDeath(mirror.killed)))) return;
  }
}

/** Every step in turn, then as many deaths at other moments. */
function nextDeath(killed: number): Death {
  const step = STEPS[Math.floor(killed / 2) % STEPS.length];
  if (killed % 2 === 0 && step !== undefined) return { step };
  return killed % 6 === 1 ? "in checkpoint" : "any moment";
}

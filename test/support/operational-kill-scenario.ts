/**
 * kill -9 of the operational daemon at random moments while writers go on. Each restart must either continue where the journal
 * ended or bridge the gap with a resync segment; if it ever continued wrongly, mirrors would not end page-equal.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { countEntries, createEntries, EntryWriter, stopWriters } from "./entries.ts";
import { readEvents } from "./events.ts";
import {
  createSet,
  killDaemon,
  MIRROR,
  OPERATIONAL,
  PAIR,
  startAll,
  stopAndCompare,
  untilLevel,
  untilSet,
} from "./mirror-set.ts";

/** Slow enough that a WAL often outlives the daemon's absence, so that both ways of restarting are met. */
const WRITER_PAUSE_MS = 30;
const LONGEST_LIFE_MS = 700;
/** The daemon stays down for so long in one round of three: long enough for writers to checkpoint and restart the WAL. */
const LONG_ABSENCE_MS = 1_200;

export async function runOperationalKillScenario(options: { kills: number }): Promise<void> {
  const set = createSet(PAIR);
  const path = set.databasePath(OPERATIONAL);
  createEntries(path);
  await startAll(set);
  const writers = [
    EntryWriter.start("better-sqlite3", path, "ana", WRITER_PAUSE_MS),
    EntryWriter.start("better-sqlite3", path, "bento", WRITER_PAUSE_MS),
  ];
  for (let kill = 0; kill < options.kills; kill++) {
    await sleep(Math.random() * LONGEST_LIFE_MS);
    const daemon = set.daemon(OPERATIONAL);
    expect(daemon?.exit).toBeNull();
    if (daemon !== null) await killDaemon(daemon);
    if (kill % 3 === 2) await sleep(LONG_ABSENCE_MS);
    const newest = readEvents(set, OPERATIONAL).at(-1)?.id ?? 0;
    set.startDaemon(OPERATIONAL);
    // In every other round the next kill may come before the daemon has taken up its work.
    if (kill % 2 === 0) await untilSet(set, "capture was taken up", () => restartOutcomes(set, newest).length > 0);
  }
  const committed = await stopWriters(writers);
  expect(await untilLevel(set, countEntries)).toEqual(committed);
  await stopAndCompare(set);

  const outcomes = restartOutcomes(set, 0);
  const resyncs = outcomes.filter(({ code }) => code === "RESYNC").map(({ data }) => Number(data.bytes));
  expect(outcomes.length).toBeGreaterThanOrEqual(options.kills / 2);
  const bytes = resyncs.reduce((sum, size) => sum + size, 0);
  console.log(
    `${options.kills} kills: ${outcomes.length - resyncs.length} restarts continued, ${resyncs.length} cut a resync segment ` +
      `(${bytes} bytes in all, largest ${Math.max(0, ...resyncs)}); ${JSON.stringify(committed)} rows on ${MIRROR}`,
  );
}

function restartOutcomes(set: Parameters<typeof readEvents>[0], sinceId: number) {
  const codes = new Set(["CAPTURE_CONTINUED", "RESYNC"]);
  return readEvents(set, OPERATIONAL, sinceId).filter(({ code }) => codes.has(code));
}

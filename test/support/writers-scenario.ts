/** Many writers through three SQLite libraries and a rude checkpointer, mirrored through a chain: not one commit may be missing. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { countEntries, createEntries, EntryWriter, startSupportProcess, stopWriters } from "./entries.ts";
import { CHAIN, createSet, OPERATIONAL, startAll, stopAndCompare, untilLevel } from "./mirror-set.ts";

const WRITER_PAUSE_MS = 2;
const CHECKPOINT_PAUSE_MS = 100;

export async function runWritersScenario(options: { seconds: number }): Promise<void> {
  const set = createSet(CHAIN);
  const path = set.databasePath(OPERATIONAL);
  createEntries(path);
  await startAll(set);
  const writers = [
    EntryWriter.start("better-sqlite3", path, "ana", WRITER_PAUSE_MS),
    EntryWriter.start("node", path, "bento", WRITER_PAUSE_MS),
    EntryWriter.start("python", path, "clara", WRITER_PAUSE_MS),
  ];
  const log = join(path, "..", "checkpointer.log");
  const args = [path, "TRUNCATE", String(CHECKPOINT_PAUSE_MS)];
  const checkpointer = startSupportProcess("checkpointer", process.execPath, "checkpointer.ts", args, log);
  await sleep(options.seconds * 1000);
  const committed = await stopWriters(writers);
  expect(await checkpointer.terminate()).toEqual({ code: 0, signal: null });

  expect(Object.keys(committed)).toHaveLength(writers.length);
  for (const rows of Object.values(committed)) expect(rows).toBeGreaterThan(options.seconds * 10);
  expect(await untilLevel(set, countEntries)).toEqual(committed);
  await stopAndCompare(set);
  console.log(
    `writers: ${JSON.stringify(committed)}, ${set.segmentCount()} segments, checkpointer ${checkpointer.logTail()}`,
  );
}

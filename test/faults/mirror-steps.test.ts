import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { ManagedProcess } from "../../src/demo/managed-process.ts";
import type { MirrorStep } from "../../src/member/mirror-duty.ts";
import type { ResyncStep } from "../../src/member/mirror-resync.ts";
import { createSet, killDaemon, MIRROR, PAIR, startAll, stopAndCompare, untilLevel } from "../support/mirror-set.ts";
import { expectCleanReader, lookAtOrders, startApplication, startReader, stopApplication } from "../support/orders.ts";

const DAEMON = fileURLToPath(new URL("./killable-daemon.ts", import.meta.url));
const KILLS = Number(process.env.AFTERIMAGE_KILLS ?? 120);
const ORDERS_PER_SECOND = 100;
/** A step that does not come within this time, such as those of a checkpoint, is given up and the daemon killed anyway. */
const LONGEST_LIFE_MS = 2_500;

/** Every step of integration that a mirror names: leaving one out does not compile. */
const STEPS: Record<Exclude<MirrorStep, ResyncStep>, true> = {
  received: true,
  announced: true,
  lock: true,
  header: true,
  append: true,
  commit: true,
  appended: true,
  synced: true,
  indexed: true,
  header2: true,
  header1: true,
  released: true,
  recorded: true,
  checkpoint: true,
  truncate: true,
  checkpointed: true,
};

/** Steps that do not come with every batch. */
const RARE = new Set<string>(["header", "append", "checkpoint", "truncate", "checkpointed"] satisfies MirrorStep[]);

test(`a mirror's daemon that dies at every step of its work, ${KILLS} times, never shows a wrong state`, async () => {
  const set = createSet(PAIR);
  const application = await startApplication(set, ORDERS_PER_SECOND);
  await startAll(set);
  const readers = [await startReader(set, MIRROR, "first reader"), await startReader(set, MIRROR, "second reader")];
  const regular = set.daemon(MIRROR);
  if (regular !== null) await killDaemon(regular);

  const bulk = new Database(set.databasePath(set.operational), { timeout: 10_000 });
  bulk.exec("CREATE TABLE attachment (scan BLOB)");
  const steps = Object.keys(STEPS);
  const reached = new Map(steps.map((step) => [step, 0]));
  for (let kill = 0; kill < KILLS; kill++) {
    const step = steps[kill % steps.length] ?? "";
    // More than one write's worth of frames, so that all steps come up: also those between writes, and of checkpoints.
    bulk.exec(
      "INSERT INTO attachment VALUES (randomblob(3000000)); DELETE FROM attachment WHERE rowid < last_insert_rowid()",
    );
    if (
      await diesAt(
        set.configPath,
        step,
        RARE.has(step) ? 1 : 1 + Math.floor(Math.random() * 4),
        join(set.root, `${MIRROR}.log`),
      )
    ) {
      reached.set(step, (reached.get(step) ?? 0) + 1);
    }
  }

  bulk.close();
  set.startDaemon(MIRROR);
  const { committed, orders } = await stopApplication(application);
  expect(await untilLevel(set, lookAtOrders)).toEqual({ commits: committed, orders });
  const reads = readers.map((reader) => reader.latest?.reads ?? 0);
  for (const reader of readers) await expectCleanReader(reader);
  await stopAndCompare(set);
  const figures = [...reached].map(([step, count]) => `${step} ${count}`).join(", ");
  console.log(`${KILLS} kills: ${figures}; ${committed} commits, ${reads.join(" and ")} reads, none wrong`);
  expect([...reached].filter(([, count]) => count === 0).map(([step]) => step)).toEqual([]);
});

/** Runs the daemon until it kills itself at `step`, or until it is killed because it did not come there. */
async function diesAt(configPath: string, step: string, count: number, log: string): Promise<boolean> {
  const daemon = ManagedProcess.start(MIRROR, process.execPath, [DAEMON, configPath, MIRROR, step, `${count}`], log);
  onTestFinished(() => daemon.kill("SIGKILL"));
  const late = new AbortController();
  const outcome = await Promise.race([
    daemon.exited,
    sleep(LONGEST_LIFE_MS, null, { signal: late.signal }).catch(() => null),
  ]);
  late.abort();
  if (outcome === null) await killDaemon(daemon);
  else expect([daemon.logTail(), outcome.signal]).toEqual([expect.anything(), "SIGKILL"]);
  return outcome !== null;
}

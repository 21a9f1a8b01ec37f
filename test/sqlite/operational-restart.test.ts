import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { createDatabase } from "./application-database.ts";
import { TestProcess } from "./processes.ts";

test("a capturing process that is killed again and again continues or reports a gap, and is never wrong", async () => {
  const path = createDatabase(1024);
  const args = [path, join(path, "..", "copy"), join(path, "..", "position")];
  const writers = ["11", "12"].map((seed) => TestProcess.node("writer.ts", [path, seed, "30"]));
  await Promise.all(writers.map((writer) => writer.more(3)));
  const outcomes: Record<string, number> = {};
  for (let kill = 0; kill < 16; kill++) {
    const follower = TestProcess.node("follower-process.ts", args);
    await follower.until(() => follower.messages > 0);
    const outcome = String(follower.first);
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    await sleep(Math.random() * 60);
    await follower.kill();
    if (kill % 4 === 3) await restartWal(path, writers);
  }
  for (const writer of writers) await writer.stop();
  expect(outcomes).toEqual({ continued: expect.any(Number), gap: expect.any(Number) });
});

/** Commits and a whole checkpoint that nobody captures. */
async function restartWal(path: string, writers: readonly TestProcess[]): Promise<void> {
  const checkpointing = TestProcess.node("checkpointing.ts", [path]);
  await checkpointing.until(() => checkpointing.latest === 0);
  await checkpointing.kill();
  await Promise.all(writers.map((writer) => writer.more(1)));
}

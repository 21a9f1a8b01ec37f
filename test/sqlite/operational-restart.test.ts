import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { createDatabase } from "./application-database.ts";
import { TestProcess } from "./processes.ts";

test("a capturing process that is killed again and again continues or reports a gap, and is never wrong", async () => {
  const path = createDatabase(1024);
  const args = [path, join(path, "..", "copy"), join(path, "..", "position")];
  const writers = ["11", "12"].map((seed) => TestProcess.node("writer", [path, seed, "30"]));
  await Promise.all(writers.map((writer) => writer.more(3)));
  const outcomes = new Map<string, number>();
  const seen = (outcome: string) => outcomes.get(outcome) ?? 0;
  for (let kill = 0; kill < 12 || seen("continued") < 3 || seen("gap") < 2; kill++) {
    const follower = TestProcess.node("follower", args);
    await follower.until(() => follower.messages > 0);
    const outcome = String(follower.first);
    outcomes.set(outcome, seen(outcome) + 1);
    expect(["continued", "gap"]).toContain(outcome);
    // Longer from time to time, because beside busy processes a short life captures nothing.
    await sleep(Math.random() * 60 + 5 * kill);
    await follower.kill();
    if (kill % 4 === 3) await restartWal(path, writers);
  }
  for (const writer of writers) await writer.stop();
}, 180_000);

/** Commits and a whole checkpoint that nobody captures. */
async function restartWal(path: string, writers: readonly TestProcess[]): Promise<void> {
  const checkpointing = TestProcess.node("checkpointing", [path]);
  await checkpointing.until(() => checkpointing.latest === 0);
  await checkpointing.kill();
  await Promise.all(writers.map((writer) => writer.more(1)));
}

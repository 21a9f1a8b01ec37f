import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import type { CheckpointOutcome } from "../../src/sqlite/operational-database.ts";
import { createDatabase } from "./application-database.ts";
import { Follower } from "./follower.ts";
import { TestProcess } from "./processes.ts";

type Outcomes = Record<CheckpointOutcome, number>;

/** Follows until `done`, with a checkpoint at every few turns and a full comparison now and then. */
async function follow(follower: Follower, done: (outcomes: Outcomes) => boolean): Promise<Outcomes> {
  const outcomes: Outcomes = { done: 0, busy: 0, readers: 0, behind: 0, fenced: 0 };
  for (let turn = 1; !done(outcomes); turn++) {
    if (follower.database.hasNewCommits()) follower.drain();
    if (turn % 5 === 0) outcomes[await follower.database.checkpoint(async () => void follower.drain())]++;
    if (turn % 40 === 0) follower.verify();
    await sleep(1);
  }
  return outcomes;
}

/** Ends the capture and compares with the file that is left. */
function expectNothingMissed(follower: Follower, path: string): void {
  follower.drain();
  follower.close();
  follower.model.expectEqualToFile(path);
  expect(follower.table.checksum).toBe(follower.model.checksum());
  // The first baseline counts as one.
  expect(follower.gaps).toBe(1);
}

test("no commit of three writers is missed while two others checkpoint", async () => {
  const path = createDatabase();
  const follower = new Follower(path);
  const writers = [TestProcess.node("writer", [path, "1"]), TestProcess.node("writer", [path, "2"])];
  const python = TestProcess.python("writer.py", [path]);
  const checkpointing = TestProcess.node("checkpointing", [path]);
  const everybody = [...writers, python];
  await follow(follower, ({ done }) => done > 3 && everybody.every(({ messages }) => messages > 100));
  await python.kill();
  for (const child of [...writers, checkpointing]) await child.stop();
  expectNothingMissed(follower, path);

  // A writer that is killed may have committed once more than it could say; vacuums are commits as well.
  const committed = everybody.reduce((sum, { latest }) => sum + Number(latest), 0);
  expect(follower.commits).toBeGreaterThanOrEqual(committed);
});

test("writers that are killed at any moment leave nothing behind that is captured and later undone", async () => {
  const path = createDatabase(1024);
  const follower = new Follower(path);
  const rounds = 8;
  let kills = 0;
  const killing = (async () => {
    while (kills < rounds) {
      const seeds = [`${kills}`, `9${kills}`];
      const writers = [
        ...seeds.map((seed) => TestProcess.node("writer", [path, seed])),
        TestProcess.python("writer.py", [path]),
      ];
      await Promise.all(writers.map((writer) => writer.more(5)));
      await sleep(Math.random() * 20);
      await Promise.all(writers.map((writer) => writer.kill()));
      kills++;
    }
  })();
  await Promise.all([follow(follower, () => kills === rounds), killing]);
  expectNothingMissed(follower, path);
});

test("a long reader stops the copying but neither the writers nor the capture", async () => {
  const path = createDatabase();
  const follower = new Follower(path);
  const writer = TestProcess.node("writer", [path, "5"]);
  await writer.more(5);
  const reader = new Database(path);
  reader.exec("BEGIN");
  const before = reader.prepare("SELECT count(*), total(length(a)) FROM t").get();
  const wanted = writer.messages + 100;
  const during = await follow(follower, ({ readers }) => readers > 0 && writer.messages > wanted);
  expect(reader.prepare("SELECT count(*), total(length(a)) FROM t").get()).toEqual(before);
  reader.exec("ROLLBACK");
  await follow(follower, ({ done }) => done > 0);
  await writer.stop();
  reader.close();
  expectNothingMissed(follower, path);
  expect(during.done).toBe(0);
});

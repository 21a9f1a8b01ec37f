import { statSync } from "node:fs";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { fence, unfence } from "../../src/sqlite/fence.ts";
import { createDatabase } from "./application-database.ts";
import { Follower } from "./follower.ts";

interface Scene {
  readonly path: string;
  readonly writer: Database.Database;
  readonly follower: Follower;
  readonly cut: () => Promise<void>;
  write(rows?: number): void;
}

function createScene(): Scene {
  const path = createDatabase();
  const writer = new Database(path, { timeout: 0 });
  writer.pragma("wal_autocheckpoint = 0");
  const follower = new Follower(path);
  onTestFinished(() => {
    writer.close();
    follower.close();
  });
  const insert = writer.prepare("INSERT INTO t (a) VALUES (randomblob(3000))");
  return {
    path,
    writer,
    follower,
    cut: async () => void follower.drain(),
    write: (rows = 1) => {
      for (let row = 0; row < rows; row++) insert.run();
    },
  };
}

test("after a checkpoint that is done the next commit restarts the WAL, and capture follows", async () => {
  const { follower, cut, write, path } = createScene();
  write(50);
  expect(await follower.database.checkpoint(cut)).toBe("done");
  const before = follower.database.position;
  expect(follower.database.backfill).toEqual({ frames: before.frame, copied: before.frame });
  const size = statSync(`${path}-wal`).size;
  write();
  expect(follower.database.hasNewCommits()).toBe(true);
  follower.drain();
  const after = follower.database.position;
  expect([after.salt1, after.salt2]).not.toEqual([before.salt1, before.salt2]);
  expect(after.frame).toBeLessThan(before.frame);
  expect(statSync(`${path}-wal`).size).toBe(size);
  expect(follower.database.walBytes).toBe(32 + after.frame * (24 + 4096));
  follower.verify();
});

test("a checkpoint with nothing to do is done at once, without taking a lock", async () => {
  const { follower, cut, write, writer } = createScene();
  write();
  expect(await follower.database.checkpoint(cut)).toBe("done");
  writer.exec("BEGIN IMMEDIATE");
  const never = async () => {
    throw new Error("nothing is to be cut");
  };
  expect(await follower.database.checkpoint(never)).toBe("done");
  writer.exec("ROLLBACK");
});

test("a database that was put to rest misses nothing and can be checkpointed again", async () => {
  const { follower, cut, write, writer } = createScene();
  write(5);
  expect(await follower.database.checkpoint(cut)).toBe("done");
  follower.database.rest();
  write(5);
  follower.database.rest();
  // Somebody else's checkpoint must not restart the WAL before it is captured.
  writer.pragma("wal_checkpoint(RESTART)");
  write(5);
  expect(await follower.database.checkpoint(cut)).toBe("done");
  follower.verify();
  expect(follower.gaps).toBe(1);
});

test("a writer that holds the write lock makes a checkpoint busy, and nothing is lost", async () => {
  const { follower, cut, write, writer } = createScene();
  write(5);
  writer.exec("BEGIN IMMEDIATE; INSERT INTO t (a) VALUES (1)");
  expect(await follower.database.checkpoint(cut)).toBe("busy");
  writer.exec("COMMIT");
  follower.verify();
  expect(await follower.database.checkpoint(cut)).toBe("done");
});

test("a read transaction of an old state makes a checkpoint say so, and it succeeds afterwards", async () => {
  const { follower, cut, write, path } = createScene();
  write(5);
  const reader = new Database(path);
  reader.exec("BEGIN; SELECT count(*) FROM t");
  write(5);
  expect(await follower.database.checkpoint(cut)).toBe("readers");
  const { frames, copied } = follower.database.backfill;
  expect(copied).toBeLessThan(frames);
  reader.close();
  expect(await follower.database.checkpoint(cut)).toBe("done");
});

test("an old read transaction is noticed before the write lock is asked for", async () => {
  const { follower, cut, write, writer, path } = createScene();
  const reader = new Database(path);
  reader.exec("BEGIN; SELECT count(*) FROM t");
  write(5);
  writer.exec("BEGIN IMMEDIATE");
  expect(await follower.database.checkpoint(cut)).toBe("readers");
  writer.exec("ROLLBACK");
  reader.close();
  expect(await follower.database.checkpoint(cut)).toBe("done");
});

test("a read transaction that begins during a checkpoint is noticed under the write lock", async () => {
  const { follower, write, path } = createScene();
  const reader = new Database(path);
  write(5);
  let cuts = 0;
  const outcome = await follower.database.checkpoint(async () => {
    follower.drain();
    if (++cuts !== 2) return;
    reader.exec("BEGIN; SELECT count(*) FROM t");
    write(2);
  });
  expect(outcome).toBe("readers");
  reader.close();
  follower.verify();
  expect(follower.gaps).toBe(1);
});

test("a checkpoint while a baseline is open says that there are readers", async () => {
  const { follower, cut, write } = createScene();
  write(5);
  const baseline = follower.database.baseline();
  expect(await follower.database.checkpoint(cut)).toBe("readers");
  baseline.close();
  expect(await follower.database.checkpoint(cut)).toBe("done");
});

test("a cut that leaves commits behind keeps the WAL as it is", async () => {
  const { follower, write } = createScene();
  write(5);
  follower.drain();
  write(5);
  expect(follower.reopen(follower.database.position)).toBe("continued");
  for (let again = 0; again < 3; again++) {
    expect(await follower.database.checkpoint(async () => {})).toBe("behind");
  }
  write(5);
  follower.drain();
  follower.verify();
  expect(follower.gaps).toBe(1);
});

test("a second checkpoint during the first is busy", async () => {
  const { follower, write } = createScene();
  write(5);
  let second: string | null = null;
  const outcome = await follower.database.checkpoint(async () => {
    follower.drain();
    second ??= await follower.database.checkpoint(async () => {});
  });
  expect([outcome, second]).toEqual(["done", "busy"]);
});

test("what is committed after the last cut is kept in memory when the WAL is given free", async () => {
  const { follower, write } = createScene();
  write(20);
  const { commits } = follower;
  let cuts = 0;
  const outcome = await follower.database.checkpoint(async () => {
    follower.drain();
    if (++cuts === 2) write(7);
  });
  expect(outcome).toBe("done");
  expect(follower.database.hasNewCommits()).toBe(true);
  // Overwrites the frames of those seven in the WAL.
  write(30);
  follower.drain();
  expect(follower.commits - commits).toBe(57);
  expect(follower.gaps).toBe(1);
  follower.verify();
});

test("what is committed after the last cut is cut before the WAL is given free when it is too much to be kept", async () => {
  const { follower, writer, write } = createScene();
  write(20);
  let cuts = 0;
  const outcome = await follower.database.checkpoint(async () => {
    follower.drain();
    if (++cuts === 2) writer.exec("INSERT INTO t (a) VALUES (randomblob(20000000))");
  });
  expect([outcome, cuts]).toEqual(["done", 3]);
  expect(follower.database.hasNewCommits()).toBe(false);
  follower.verify();
  expect(follower.gaps).toBe(1);
});

test("a writer that is done in a moment is waited for", async () => {
  const { follower, write, writer } = createScene();
  write(5);
  let cuts = 0;
  const outcome = await follower.database.checkpoint(async () => {
    follower.drain();
    cuts++;
    if (cuts === 2) writer.exec("BEGIN IMMEDIATE; INSERT INTO t (a) VALUES (1)");
    if (cuts === 4) writer.exec("COMMIT");
  });
  expect([outcome, cuts]).toEqual(["done", 4]);
  follower.drain();
  follower.verify();
  expect(follower.gaps).toBe(1);
});

test("a fence is captured as a commit that changes nothing, and stops checkpoints only", async () => {
  const { follower, cut, write, path } = createScene();
  write(3);
  follower.drain();
  const { commits } = follower;
  const checksum = follower.table.checksum;
  expect(await fence(path)).toBe(true);
  expect(await follower.database.checkpoint(cut)).toBe("fenced");
  expect([follower.commits - commits, follower.table.checksum]).toEqual([1, checksum]);
  follower.verify();

  expect(await unfence(path)).toBe(true);
  expect(await fence(path)).toBe(true);
  expect(await follower.database.checkpoint(cut)).toBe("fenced");
  // All was copied before the write lock was asked for.
  expect(await follower.database.checkpoint(cut)).toBe("done");
  expect(await unfence(path)).toBe(true);
  expect(await follower.database.checkpoint(cut)).toBe("done");
  follower.verify();
  expect([follower.gaps, follower.table.checksum]).toEqual([1, checksum]);
});

test("a checkpoint of somebody else that restarts an empty WAL again and again is not a gap", async () => {
  const { follower, cut, write, writer } = createScene();
  for (let round = 0; round < 20; round++) {
    write(3);
    expect(await follower.database.checkpoint(cut)).toBe("done");
    for (let again = 0; again <= round % 4; again++)
      expect(writer.pragma("wal_checkpoint(TRUNCATE)", { simple: true })).toBe(0);
    if (round % 3 === 0) expect(await follower.database.checkpoint(cut)).toBe("done");
  }
  follower.verify();
  expect(follower.gaps).toBe(1);
});

test("nobody else can restart the WAL before it is captured", () => {
  const { follower, write, writer } = createScene();
  write(5);
  expect(writer.pragma("wal_checkpoint(TRUNCATE)", { simple: true })).toBe(1);
  writer.pragma("wal_checkpoint(RESTART)");
  write(5);
  follower.verify();
  expect(follower.gaps).toBe(1);
});

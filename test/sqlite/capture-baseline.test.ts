import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { DatabaseError } from "../../src/sqlite/database-error.ts";
import { createDatabase } from "./application-database.ts";
import { Follower } from "./follower.ts";
import { PageModel } from "./page-model.ts";

const PAGE_SIZE = 4096;

interface Scene {
  readonly writer: Database.Database;
  readonly follower: Follower;
  /** One commit of a row that takes about so many pages. */
  commit(pages: number): void;
  readonly cut: () => Promise<void>;
}

function createScene(): Scene {
  const path = createDatabase(PAGE_SIZE);
  const writer = new Database(path, { timeout: 0 });
  const follower = new Follower(path);
  onTestFinished(() => {
    writer.close();
    follower.close();
  });
  const insert = writer.prepare("INSERT INTO t (a) VALUES (randomblob(?))");
  return {
    writer,
    follower,
    commit: (pages) => void insert.run(pages * PAGE_SIZE),
    cut: async () => void follower.drain(),
  };
}

test("a gap is bridged by adopting a baseline, with only the pages that differ", () => {
  const { follower, commit, writer } = createScene();
  commit(50);
  follower.drain();
  follower.close();
  writer.pragma("wal_checkpoint(TRUNCATE)");
  commit(1);
  expect(follower.reopen(null)).toBe("gap");
  expect(follower.model.pageCount).toBeGreaterThan(50);
  commit(1);
  follower.drain();
  follower.verify();
});

test("a WAL that is restarted before all of it was read is a gap, though the saved position was still there", () => {
  const { follower, commit, writer } = createScene();
  commit(5);
  follower.drain();
  const { position } = follower.database;
  follower.close();
  commit(5);
  // Copies everything but leaves the WAL, so that our pin begins at its end and the next commit restarts it.
  writer.pragma("wal_checkpoint(PASSIVE)");
  expect(follower.reopen(position)).toBe("continued");
  commit(1);
  expect(() => follower.drain()).toThrow(expect.objectContaining({ code: "WAL_GAP" }));
  follower.bridge();
  commit(1);
  follower.verify();
});

test("a baseline of a WAL that was copied whole is read although the WAL is restarted meanwhile", async () => {
  const { follower, commit, cut } = createScene();
  commit(30);
  expect(await follower.database.checkpoint(cut)).toBe("done");
  const before = follower.database.position;
  const baseline = follower.database.baseline();
  for (let i = 0; i < 10; i++) commit(2);
  follower.model.expectEqualTo(baseline);
  follower.drain();
  expect(follower.database.position.salt2).not.toBe(before.salt2);
  const again = new PageModel();
  expect(again.apply(baseline, baseline.pages())).toBe(baseline.pageCount);
  again.expectEqualTo(baseline);
  baseline.close();
  follower.verify();
});

test("capture up to a baseline at the end of the WAL does not follow the WAL's restart", async () => {
  const { follower, commit, cut } = createScene();
  commit(3);
  expect(await follower.database.checkpoint(cut)).toBe("done");
  const baseline = follower.database.baseline();
  commit(1);
  expect(follower.drain({ until: baseline.position })).toBe(0);
  baseline.close();
  expect(follower.drain()).toBe(1);
});

test("capture up to a baseline of an emptied WAL ends there, also when the next commit draws other salts", async () => {
  const { follower, commit, cut, writer } = createScene();
  commit(3);
  expect(await follower.database.checkpoint(cut)).toBe("done");
  const other = new Database(writer.name);
  other.pragma("wal_checkpoint(TRUNCATE)");
  other.close();
  const baseline = follower.database.baseline();
  commit(1);
  expect(follower.drain({ until: baseline.position })).toBe(0);
  baseline.close();
  expect(follower.drain()).toBe(1);
  expect(follower.database.position.salt2).not.toBe(baseline.position.salt2);
});

test("a baseline that is adopted late finds everything since, whatever others checkpoint", () => {
  const { follower, commit, writer } = createScene();
  commit(10);
  const baseline = follower.database.baseline();
  for (let i = 0; i < 10; i++) {
    commit(3);
    writer.pragma(`wal_checkpoint(${i % 2 === 0 ? "PASSIVE" : "TRUNCATE"})`);
  }
  const copy = new PageModel();
  copy.apply(baseline, baseline.pages());
  follower.database.adopt(baseline);
  for (;;) {
    const change = follower.database.capture({ maxBytes: 100_000 });
    if (change === null) break;
    copy.apply(change, change.pages());
    follower.database.accept(change);
  }
  const now = follower.database.baseline();
  copy.expectEqualTo(now);
  now.close();
});

test("what is committed while a baseline is read is captured after it is adopted", () => {
  const { follower, commit } = createScene();
  commit(5);
  const baseline = follower.database.baseline();
  const iterator = baseline.pages();
  iterator.next();
  for (let i = 0; i < 20; i++) commit(3);
  const rest = [...iterator].length;
  expect(rest).toBe(baseline.pageCount - 1);
  follower.drain({ until: baseline.position });
  expect(follower.database.position).toEqual(baseline.position);
  follower.model.expectEqualTo(baseline);
  follower.database.adopt(baseline);
  expect(follower.database.capture({ maxBytes: 1 << 24 })?.commits).toBe(20);
  follower.verify();
});

test("a baseline gives single pages too, and none once it is closed", () => {
  const { follower, commit, writer } = createScene();
  commit(5);
  writer.pragma("wal_checkpoint(PASSIVE)");
  commit(2);
  const baseline = follower.database.baseline();
  const page = new Uint8Array(PAGE_SIZE);
  for (const { pgno, data } of baseline.pages()) {
    baseline.readPage(pgno, page);
    expect(Buffer.compare(page, data)).toBe(0);
  }
  baseline.close();
  baseline.close();
  expect(() => baseline.readPage(1, page)).toThrow(DatabaseError);
  expect(() => follower.database.adopt(baseline)).toThrow(RangeError);
});

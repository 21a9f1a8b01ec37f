import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, openSync, readFileSync, readSync, statSync, writeSync } from "node:fs";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { DatabaseError } from "../../src/sqlite/database-error.ts";
import type { CapturedChange } from "../../src/sqlite/operational-database.ts";
import { decodeFrameHeader, encodeFrameHeader, FRAME_HEADER_SIZE, frameOffset } from "../../src/sqlite/wal-format.ts";
import { createDatabase } from "./application-database.ts";
import { Follower } from "./follower.ts";

const PAGE_SIZE = 4096;

interface Scene {
  readonly path: string;
  readonly writer: Database.Database;
  readonly follower: Follower;
  /** One commit of a row that takes about so many pages. */
  commit(pages?: number): void;
}

function createScene(): Scene {
  const path = createDatabase(PAGE_SIZE);
  const writer = new Database(path);
  const follower = new Follower(path);
  onTestFinished(() => {
    writer.close();
    follower.close();
  });
  const insert = writer.prepare("INSERT INTO t (a) VALUES (randomblob(?))");
  return { path, writer, follower, commit: (pages = 1) => void insert.run(pages * PAGE_SIZE) };
}

function next(follower: Follower, maxBytes = 1 << 20): CapturedChange {
  const change = follower.database.capture({ maxBytes });
  if (change === null) throw new Error("nothing was captured");
  return change;
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof DatabaseError) return error.code;
    throw error;
  }
  return "nothing was thrown";
}

/** Changes bytes of the WAL, on which SQLite holds no locks. */
function editWal(path: string, edit: (fd: number) => void): void {
  const fd = openSync(`${path}-wal`, "r+");
  edit(fd);
  closeSync(fd);
}

test("a change says where in the WAL it lies", () => {
  const { follower, commit } = createScene();
  commit(3);
  commit(2);
  const first = next(follower);
  expect(first.commits).toBe(2);
  expect(first.from.frame).toBe(0);
  expect(first.to.frame).toBe(first.frames);
  expect(follower.database.end).toEqual(first.to);
  expect([first.walOffset, first.walSize]).toEqual([32n, BigInt(first.frames * (PAGE_SIZE + 24))]);
  follower.accept(first);
  commit(1);
  const second = next(follower);
  expect(second.from).toEqual(first.to);
  expect(second.walOffset).toBe(first.walOffset + first.walSize);
});

test("a change is given out again until it is accepted, and its pages may be read again", () => {
  const { follower, commit } = createScene();
  commit(3);
  const first = next(follower);
  const pages = [...first.pages()].map(({ pgno, data }) => ({ pgno, data: Buffer.from(data) }));
  expect([...first.pages()].map(({ pgno, data }) => ({ pgno, data: Buffer.from(data) }))).toEqual(pages);
  expect(next(follower).to).toEqual(first.to);
  follower.accept(first);
  expect(follower.database.capture({ maxBytes: 1 })).toBeNull();
  expect(() => follower.database.accept(first)).toThrow(RangeError);
});

test("changes end at commits and stay within the limit, but for a commit that is larger", () => {
  const { follower, commit } = createScene();
  const sizes = [1, 2, 40, 1, 1, 1, 9, 9, 1];
  for (const pages of sizes) commit(pages);
  const limit = 16 * PAGE_SIZE;
  let commits = 0;
  for (
    let change = follower.database.capture({ maxBytes: limit });
    change !== null;
    change = follower.database.capture({ maxBytes: limit })
  ) {
    expect(change.commits === 1 || change.frames * PAGE_SIZE <= limit).toBe(true);
    commits += change.commits;
    follower.accept(change);
  }
  expect(commits).toBe(sizes.length);
  follower.verify();
});

test("a limit of nothing still takes one commit at a time", () => {
  const { follower, commit } = createScene();
  for (let i = 0; i < 4; i++) commit();
  for (let i = 0; i < 4; i++) {
    const change = next(follower, 0);
    expect(change.commits).toBe(1);
    follower.accept(change);
  }
  expect(follower.database.hasNewCommits()).toBe(false);
});

test("page 1 of a change is that of a database without a fence", () => {
  const { follower, commit, path } = createScene();
  commit();
  const [first] = next(follower).pages();
  expect([first?.pgno, first?.data[18], first?.data[19]]).toEqual([1, 2, 2]);
  expect(readFileSync(`${path}-wal`)[frameOffset(1, PAGE_SIZE) + FRAME_HEADER_SIZE + 18]).toBe(2);
});

test("a rolled-back transaction that had spilled into the WAL is not captured", () => {
  const { follower, writer, commit } = createScene();
  writer.pragma("cache_size = 5");
  const before = statSync(`${writer.name}-wal`).size;
  writer.exec("BEGIN");
  for (let i = 0; i < 50; i++) commit(4);
  writer.exec("ROLLBACK");
  expect(statSync(`${writer.name}-wal`).size).toBeGreaterThan(before);
  expect(follower.database.capture({ maxBytes: 1 })).toBeNull();
  commit();
  expect(next(follower).commits).toBe(1);
  follower.verify();
});

test("a commit that a dead writer left in the file, but not in the wal-index, is not captured", () => {
  const { follower, commit, path } = createScene();
  commit(2);
  follower.drain();
  const { position } = follower.database;
  const state = Uint32Array.of(position.checksum1, position.checksum2);
  const frame = Buffer.alloc(FRAME_HEADER_SIZE + PAGE_SIZE, 7);
  const { salt1, salt2 } = position;
  encodeFrameHeader(frame, 0, { pgno: 2, commit: follower.model.pageCount, salt1, salt2, pageSize: PAGE_SIZE }, state);
  editWal(path, (fd) => writeSync(fd, frame, 0, frame.length, frameOffset(position.frame + 1, PAGE_SIZE)));

  expect(follower.database.capture({ maxBytes: 1 })).toBeNull();
  commit();
  follower.drain();
  follower.verify();
  expect(follower.gaps).toBe(1);
});

test("frames that follow from each other but are not those of the wal-index are a gap", () => {
  const { follower, commit, path } = createScene();
  commit(2);
  follower.drain();
  commit(2);
  const { from, frames } = next(follower);
  const size = FRAME_HEADER_SIZE + PAGE_SIZE;
  const state = Uint32Array.of(from.checksum1, from.checksum2);
  editWal(path, (fd) => {
    const frame = Buffer.alloc(size);
    for (let number = from.frame + 1; number <= from.frame + frames; number++) {
      readSync(fd, frame, 0, size, frameOffset(number, PAGE_SIZE));
      const header = decodeFrameHeader(frame, 0);
      frame[size - 1] = (frame[size - 1] ?? 0) ^ 1;
      encodeFrameHeader(frame, 0, { ...header, pageSize: PAGE_SIZE }, state);
      writeSync(fd, frame, 0, size, frameOffset(number, PAGE_SIZE));
    }
  });
  expect(codeOf(() => next(follower))).toBe("WAL_GAP");
});

test.each(["first", "second"])(
  "a writer that died while it wrote the %s copy of the wal-index header is recovered from",
  (copy) => {
    const { follower, commit, path } = createScene();
    commit(2);
    // Another process, because closing -shm in this one would drop the locks of all its connections.
    const edit = `f = open(${JSON.stringify(`${path}-shm`)}, "r+b"); f.seek(${copy === "first" ? 16 : 64}); f.write(b"\\x01\\x02")`;
    execFileSync("python3", ["-c", edit]);
    expect(follower.database.hasNewCommits()).toBe(true);
    follower.drain();
    commit();
    follower.drain();
    follower.verify();
    expect(follower.gaps).toBe(1);
  },
);

test.each<[string, (fd: number, offset: number) => void]>([
  ["a flipped bit in a page", (fd, offset) => flip(fd, offset + FRAME_HEADER_SIZE + 100)],
  ["a flipped bit in a page number", (fd, offset) => flip(fd, offset + 3)],
  ["a flipped bit in a salt", (fd, offset) => flip(fd, offset + 9)],
  ["a flipped bit in a checksum", (fd, offset) => flip(fd, offset + 17)],
  ["no more bytes", (fd, offset) => ftruncateSync(fd, offset + 50)],
])("a frame with %s is a gap, not a change", (_what, damage) => {
  for (const part of [0, 0.5, 1]) {
    const { follower, commit, path } = createScene();
    commit(4);
    follower.drain();
    commit(6);
    const { from, frames } = next(follower);
    const frame = from.frame + 1 + Math.floor(part * (frames - 1));
    editWal(path, (fd) => damage(fd, frameOffset(frame, PAGE_SIZE)));
    expect(codeOf(() => next(follower))).toBe("WAL_GAP");
    expect(codeOf(() => follower.database.position)).toBe("WAL_GAP");
    expect(follower.database.hasNewCommits()).toBe(true);
  }
});

function flip(fd: number, offset: number): void {
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, offset);
  byte[0] = (byte[0] ?? 0) ^ 4;
  writeSync(fd, byte, 0, 1, offset);
}

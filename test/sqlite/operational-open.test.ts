import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { DatabaseError } from "../../src/sqlite/database-error.ts";
import { OperationalDatabase } from "../../src/sqlite/operational-database.ts";
import { encodeFrameHeader, frameOffset, type WalPosition } from "../../src/sqlite/wal-format.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { createDatabase } from "./application-database.ts";
import { TestProcess } from "./processes.ts";

function open(path: string, saved?: WalPosition): OperationalDatabase {
  const database = OperationalDatabase.open(path, { saved: saved ?? null });
  onTestFinished(() => database.close());
  return database;
}

/** An application's connection, which keeps the WAL alive when ours are closed. */
function connect(path: string): Database.Database {
  const db = new Database(path);
  onTestFinished(() => void db.close());
  return db;
}

function codeOf(action: () => unknown): string | null {
  try {
    action();
    return null;
  } catch (error) {
    if (error instanceof DatabaseError && error.hint !== undefined) return error.code;
    throw error;
  }
}

/** Opens with a fresh baseline adopted and everything captured. */
function follow(path: string): OperationalDatabase {
  const database = open(path);
  database.adopt(database.baseline());
  return database;
}

function drain(database: OperationalDatabase): void {
  for (
    let change = database.capture({ maxBytes: 1 << 20 });
    change !== null;
    change = database.capture({ maxBytes: 1 << 20 })
  ) {
    database.accept(change);
  }
}

test("a path without a database is refused", () => {
  expect(codeOf(() => open(join(temporaryDirectory(), "none.db")))).toBe("DATABASE_MISSING");
});

test("an empty file is refused", () => {
  const path = join(temporaryDirectory(), "empty.db");
  writeFileSync(path, "");
  expect(codeOf(() => open(path))).toBe("DATABASE_EMPTY");
});

test("a file that is no database is refused", () => {
  const path = join(temporaryDirectory(), "text.db");
  writeFileSync(path, "no database\n".repeat(100));
  expect(codeOf(() => open(path))).toBe("DATABASE_NOT_SQLITE");
});

test("a database with a rollback journal is refused and left as it is", () => {
  const path = join(temporaryDirectory(), "rollback.db");
  const db = connect(path);
  db.exec("CREATE TABLE t (a)");
  expect(codeOf(() => open(path))).toBe("DATABASE_NOT_WAL");
  expect(db.pragma("journal_mode", { simple: true })).toBe("delete");
});

test("a database that a connection has for itself is refused as busy", async () => {
  const path = createDatabase();
  const holder = TestProcess.python("exclusive-holder.py", [path]);
  await holder.more(1);
  expect(codeOf(() => open(path))).toBe("DATABASE_BUSY");
  await holder.kill();
  expect(open(path).resumed.kind).toBe("gap");
});

test("a first page that names an impossible page size is refused", () => {
  const path = createDatabase();
  const file = readFileSync(path);
  file.writeUInt16BE(3000, 16);
  writeFileSync(path, file);
  expect(codeOf(() => open(path))).toBe("DATABASE_PAGE_SIZE");
});

test("a WAL whose checksums are big-endian is refused", () => {
  const path = createDatabase();
  const db = connect(path);
  db.pragma("wal_autocheckpoint = 0");
  db.exec("INSERT INTO t (a) VALUES (1)");
  const copy = join(temporaryDirectory(), "copy.db");
  writeFileSync(copy, readFileSync(path));
  writeFileSync(`${copy}-wal`, toBigEndian(readFileSync(`${path}-wal`), 4096));
  expect(codeOf(() => open(copy))).toBe("WAL_BIG_ENDIAN");
  expect(connect(copy).prepare("SELECT count(*) FROM t").pluck().get()).toBe(1);
});

test.each([512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])(
  "a database with pages of %i bytes is captured",
  (pageSize) => {
    const path = createDatabase(pageSize);
    const database = follow(path);
    const db = connect(path);
    db.exec("INSERT INTO t (a) VALUES (zeroblob(200000))");
    const change = database.capture({ maxBytes: 1 });
    expect(database.pageSize).toBe(pageSize);
    expect([...(change?.pages() ?? [])].map(({ data }) => data.length)).toContain(pageSize);
    expect(change?.pageCount).toBe(db.pragma("page_count", { simple: true }));
  },
);

test("without a saved position there is a gap, and nothing is captured before a baseline is adopted", () => {
  const path = createDatabase();
  const database = open(path);
  expect(database.resumed).toEqual({ kind: "gap", reason: "no position was saved" });
  expect(codeOf(() => database.capture({ maxBytes: 1 }))).toBe("WAL_GAP");
  expect(codeOf(() => database.position)).toBe("WAL_GAP");
  const baseline = database.baseline();
  database.adopt(baseline);
  baseline.close();
  expect(database.capture({ maxBytes: 1 })).toBeNull();
  expect(database.position).toEqual(baseline.position);
});

test("a position that was saved continues while another process kept the WAL", () => {
  const path = createDatabase();
  const db = connect(path);
  db.pragma("wal_autocheckpoint = 0");
  const first = follow(path);
  db.exec("INSERT INTO t (a) VALUES (1)");
  drain(first);
  const saved = first.position;
  first.close();
  db.exec("INSERT INTO t (a) VALUES (2)");
  const second = open(path, saved);
  expect(second.resumed).toEqual({ kind: "continued" });
  expect(second.capture({ maxBytes: 1 << 20 })).toMatchObject({ commits: 1, from: saved });
});

test("a restart of the WAL while nobody captured is a gap", () => {
  const path = createDatabase();
  const db = connect(path);
  const first = follow(path);
  db.exec("INSERT INTO t (a) VALUES (1)");
  drain(first);
  const saved = first.position;
  first.close();
  db.pragma("wal_checkpoint(TRUNCATE)");
  db.exec("INSERT INTO t (a) VALUES (2)");
  expect(open(path, saved).resumed.kind).toBe("gap");
});

test.each<[string, (saved: WalPosition) => WalPosition]>([
  ["a later frame than the WAL has", (saved) => ({ ...saved, frame: saved.frame + 1 })],
  ["another checksum", (saved) => ({ ...saved, checksum2: saved.checksum2 ^ 1 })],
  ["an earlier frame's number", (saved) => ({ ...saved, frame: saved.frame - 1 })],
  ["other salts", (saved) => ({ ...saved, salt2: saved.salt2 ^ 1 })],
  ["the start of the WAL with another checksum", (saved) => ({ ...saved, frame: 0 })],
])("a saved position with %s is a gap", (_what, change) => {
  const path = createDatabase();
  const db = connect(path);
  const first = follow(path);
  db.exec("INSERT INTO t (a) VALUES (1)");
  drain(first);
  const saved = first.position;
  expect(open(path, saved).resumed.kind).toBe("continued");
  expect(open(path, change(saved)).resumed.kind).toBe("gap");
});

test("a saved position at a frame that is in the file but not in the wal-index is a gap", () => {
  const path = createDatabase();
  const db = connect(path);
  const first = follow(path);
  db.exec("INSERT INTO t (a) VALUES (1)");
  drain(first);
  const { salt1, salt2, frame, checksum1, checksum2 } = first.position;
  const state = Uint32Array.of(checksum1, checksum2);
  const bytes = Buffer.alloc(24 + 4096);
  encodeFrameHeader(bytes, 0, { pgno: 2, commit: 9, salt1, salt2, pageSize: 4096 }, state);
  const fd = openSync(`${path}-wal`, "r+");
  writeSync(fd, bytes, 0, bytes.length, frameOffset(frame + 1, 4096));
  closeSync(fd);
  const beyond = { salt1, salt2, frame: frame + 1, checksum1: state[0] ?? 0, checksum2: state[1] ?? 0 };
  expect(open(path, beyond).resumed.kind).toBe("gap");
});

test("an open database knows its files until one is replaced or removed", () => {
  const path = createDatabase();
  const database = follow(path);
  const db = connect(path);
  database.checkIdentity();
  db.exec("INSERT INTO t (a) VALUES (1)");
  drain(database);
  database.checkIdentity();

  renameSync(path, `${path}.away`);
  expect(codeOf(() => database.checkIdentity())).toBe("DATABASE_MISSING");
  writeFileSync(path, readFileSync(`${path}.away`));
  expect(codeOf(() => database.checkIdentity())).toBe("DATABASE_REPLACED");
  rmSync(path);
  renameSync(`${path}.away`, path);
  database.checkIdentity();

  for (const suffix of ["-wal", "-shm"]) {
    renameSync(path + suffix, `${path}.kept`);
    expect(codeOf(() => database.checkIdentity())).toBe("DATABASE_REPLACED");
    renameSync(`${path}.kept`, path + suffix);
    database.checkIdentity();
  }
});

test("a database whose schema our SQLite cannot load is captured all the same", async () => {
  const path = createDatabase();
  const python = TestProcess.python("strange-schema.py", [path]);
  await python.more(1);
  const database = follow(path);
  await python.kill();
  const db = connect(path);
  expect(() => db.prepare("SELECT * FROM strange").all()).toThrow(/no such module|no such function/);
  db.exec("INSERT INTO t (a) VALUES (1)");
  drain(database);
  expect(database.position.frame).toBeGreaterThan(0);
});

test("a closed database leaves nothing open, and closing twice is harmless", () => {
  const path = createDatabase();
  const database = follow(path);
  database.baseline();
  database.close();
  database.close();
  const db = connect(path);
  expect(db.pragma("journal_mode = DELETE", { simple: true })).toBe("delete");
});

/** The same WAL as a big-endian machine would have written it (SQLite file format, section 4.2). */
function toBigEndian(wal: Buffer, pageSize: number): Buffer {
  let s0 = 0;
  let s1 = 0;
  const run = (offset: number, length: number) => {
    for (let at = offset; at < offset + length; at += 8) {
      s0 = (s0 + wal.readUInt32BE(at) + s1) >>> 0;
      s1 = (s1 + wal.readUInt32BE(at + 4) + s0) >>> 0;
    }
  };
  const write = (offset: number) => {
    wal.writeUInt32BE(s0, offset);
    wal.writeUInt32BE(s1, offset + 4);
  };
  wal.writeUInt32BE(0x377f0683, 0);
  run(0, 24);
  write(24);
  for (let offset = 32; offset + 24 + pageSize <= wal.length; offset += 24 + pageSize) {
    run(offset, 8);
    run(offset + 24, pageSize);
    write(offset + 16);
  }
  return wal;
}

/** The fence: which programs it stops, and that nothing is lost while it goes up and down. */
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { fence, isFenced, unfence } from "../../src/sqlite/fence.ts";
import { startChild } from "../support/child-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const ROUNDS = 25;

test.each([512, 4096, 65_536])(
  "a fenced database refuses writes by every program and goes on being read, pages of %i bytes",
  async (pageSize) => {
    const path = operationalDatabase(pageSize);
    expect(await isFenced(path)).toBe(false);
    expect(await fence(path)).toBe(true);
    expect(await isFenced(path)).toBe(true);
    expect(writeHere(path)).toBe("SQLITE_READONLY");
    expect(writeWithPython(path)).toMatch(/readonly/);
    expect(writeWithShell(path)).toMatch(/readonly|not found/);
    expect(read(path)).toEqual({ n: 100, check: "ok" });
    expect(await unfence(path)).toBe(true);
    expect(await isFenced(path)).toBe(false);
    for (const write of [writeHere, writeWithPython]) expect(write(path)).toBe("");
    expect(read(path)).toEqual({ n: 102, check: "ok" });
  },
);

test("fencing twice, and unfencing twice, is fencing or unfencing once", async () => {
  const path = operationalDatabase(4096);
  const reader = new Sqlite(path, { readonly: true });
  reader.prepare("SELECT * FROM entry").get();
  expect([await fence(path), await fence(path)]).toEqual([true, false]);
  expect([await unfence(path), await unfence(path)]).toEqual([true, false]);
  reader.close();
});

test("a fence survives the end of all processes and a copy", async () => {
  const path = operationalDatabase(4096);
  await fence(path);
  const copy = `${path}-copy`;
  execFileSync("cp", [path, copy]);
  expect(writeHere(copy)).toBe("SQLITE_READONLY");
});

test("a fence waits for the transaction that is writing, and the next one fails", async () => {
  const path = operationalDatabase(4096);
  const writer = new Sqlite(path);
  writer.exec("BEGIN IMMEDIATE; INSERT INTO entry (body) VALUES ('in time')");
  await expect(fence(path, { lockTimeoutMs: 20 })).rejects.toMatchObject({ code: "DATABASE_BUSY" });
  const fenced = fence(path);
  writer.exec("COMMIT");
  expect(await fenced).toBe(true);
  expect(() => writer.exec("INSERT INTO entry (body) VALUES ('too late')")).toThrow(/readonly/);
  writer.close();
  expect(read(path)).toEqual({ n: 101, check: "ok" });
});

test("a transaction that began to read before the fence cannot write after it", async () => {
  const path = operationalDatabase(4096);
  const writer = new Sqlite(path);
  writer.exec("BEGIN");
  writer.prepare("SELECT count(*) FROM entry").get();
  await fence(path);
  expect(() => writer.exec("INSERT INTO entry (body) VALUES ('stale')")).toThrow(/locked|readonly/);
  writer.close();
  expect(read(path)).toEqual({ n: 100, check: "ok" });
});

test("a database with a rollback journal cannot be fenced", async () => {
  const path = operationalDatabase(4096, "DELETE");
  await expect(fence(path)).rejects.toMatchObject({ code: "DATABASE_NOT_WAL" });
  expect(writeHere(path)).toBe("");
});

test("fences that go up and down under a live writer lose none of its commits", async () => {
  const path = operationalDatabase(4096);
  const writer = startChild(new URL("fenced-writer.ts", import.meta.url), [path]);
  await writer.line((line) => line === "writing");
  for (let round = 0; round < ROUNDS; round++) {
    expect(await fence(path)).toBe(true);
    const seen = read(path);
    expect(read(path)).toEqual(seen);
    expect(await unfence(path)).toBe(true);
    await writer.line((line) => Number(line) > seen.n - 100);
  }
  await fence(path);
  const { n, check } = read(path);
  expect(check).toBe("ok");
  await writer.line((line) => Number(line) >= n - 100);
  await writer.kill();
  expect(Number(writer.lines.at(-1))).toBe(n - 100);
});

function operationalDatabase(pageSize: number, journalMode = "WAL"): string {
  const path = join(temporaryDirectory(), "application.db");
  const database = new Sqlite(path);
  database.pragma(`page_size = ${pageSize}`);
  database.pragma(`journal_mode = ${journalMode}`);
  database.exec("CREATE TABLE entry (id INTEGER PRIMARY KEY, body TEXT)");
  const insert = database.prepare("INSERT INTO entry (body) VALUES (?)");
  for (let i = 0; i < 100; i++) insert.run(`entry ${i}`);
  database.close();
  return path;
}

function read(path: string): { n: number; check: unknown } {
  const database = new Sqlite(path, { readonly: true });
  try {
    const n = database.prepare<[], { n: number }>("SELECT count(*) AS n FROM entry").get()?.n ?? -1;
    return { n, check: database.pragma("integrity_check", { simple: true }) };
  } finally {
    database.close();
  }
}

/** The error's code, or nothing when the write succeeded. */
function writeHere(path: string): string {
  const database = new Sqlite(path);
  try {
    database.exec("INSERT INTO entry (body) VALUES ('here')");
    return "";
  } catch (error) {
    return error instanceof Sqlite.SqliteError ? error.code : String(error);
  } finally {
    database.close();
  }
}

function writeWithPython(path: string): string {
  const program = `
import sqlite3, sys
try:
    c = sqlite3.connect(sys.argv[1])
    c.execute("INSERT INTO entry (body) VALUES ('python')")
    c.commit()
except sqlite3.Error as error:
    print(error)
`;
  return execFileSync("python3", ["-c", program, path], { encoding: "utf8" });
}

/** The sqlite3 program; "not found" where there is none. */
function writeWithShell(path: string): string {
  const { stderr, error } = spawnSync("sqlite3", [path, "INSERT INTO entry (body) VALUES ('shell')"], {
    encoding: "utf8",
  });
  return error === undefined ? stderr : "not found";
}

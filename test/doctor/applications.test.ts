/** Which SQLite applications have, told from outside: real processes of other drivers. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { stringify } from "yaml";
import { parseConfiguration } from "../../src/config/load-configuration.ts";
import { checkApplications } from "../../src/doctor/check-applications.ts";
import { sqliteVersionsIn } from "../../src/doctor/sqlite-of-process.ts";
import { hasWalResetBug } from "../../src/doctor/sqlite-releases.ts";
import type { Subject } from "../../src/doctor/subject.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const OPENING = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("SELECT * FROM t").fetchall()
print(sqlite3.sqlite_version, flush=True)
sys.stdin.read()
`;

function lisbon(databases: Record<string, string>): Pick<Subject, "member"> {
  const path = join(temporaryDirectory(), "afterimage.yaml");
  const member = { mailbox: "file:///nowhere/mailbox", state: temporaryDirectory(), databases };
  const text = stringify({ mirror: "clinic", operational: "lisbon", members: { lisbon: member } });
  const self = parseConfiguration(text, path, { environment: {} }).members.get("lisbon");
  if (self === undefined) throw new Error("no such member");
  return { member: self };
}

function newDatabase(): string {
  const path = join(temporaryDirectory(), "shop.db");
  const db = new Database(path);
  db.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
  db.close();
  return path;
}

test.each([
  ["3.6.23", false],
  ["3.7.0", true],
  ["3.40.1", true],
  ["3.44.5", true],
  ["3.44.6", false],
  ["3.45.0", true],
  ["3.50.6", true],
  ["3.50.7", false],
  ["3.51.2", true],
  ["3.51.3", false],
  ["3.54.0", false],
  ["4.0.0", false],
])("SQLite %s loses commits when two checkpoints run at once: %s", (version, expected) => {
  expect(hasWalResetBug(version)).toBe(expected);
});

test("an application's SQLite is told from the library that it has mapped, and advice is given when it has the bug", async () => {
  const path = newDatabase();
  const subject = lisbon({ shop: path });
  expect(checkApplications(subject)).toMatchObject([
    { check: "applications of shop", level: "OK", message: expect.stringMatching(/^none has it open now/) },
  ]);
  const application = spawn("python3", ["-c", OPENING, path], { stdio: ["pipe", "pipe", "inherit"] });
  onTestFinished(() => {
    application.kill("SIGKILL");
  });
  const [output] = await once(application.stdout, "data");
  const version = String(output).trim();
  const level = hasWalResetBug(version) ? "WARN" : "OK";
  const [found] = checkApplications(subject);
  expect(found).toMatchObject({ check: "applications of shop", level });
  expect(found?.message).toContain(`python3 (process ${application.pid}) has SQLite ${version}`);
  if (level === "WARN") expect(found?.hint).toContain("wal_autocheckpoint=0");
  expect(checkApplications(lisbon({ other: newDatabase() }))).toMatchObject([{ level: "OK" }]);
  // As if it were the member's daemon.
  mkdirSync(join(subject.member.state, "locks"), { recursive: true });
  const note = { pid: application.pid, command: "afterimage member lisbon", since: new Date().toISOString() };
  writeFileSync(join(subject.member.state, "locks", "member.db.holder"), JSON.stringify(note));
  expect(checkApplications(subject)).toMatchObject([{ message: expect.stringMatching(/^none has it open now/) }]);
});

test("a program that has SQLite inside it is searched, and a file that has none is none of SQLite's", () => {
  const embedded = execFileSync(process.execPath, ["-p", "process.versions.sqlite"], { encoding: "utf8" }).trim();
  expect(sqliteVersionsIn(process.execPath)).toEqual([embedded]);
  const file = join(temporaryDirectory(), "program");
  writeFileSync(file, "\x003.40.1\0");
  expect(sqliteVersionsIn(file)).toEqual([]);
  // The version lies across the border of what is read at once.
  const id = "2022-12-28 14:03:47 df5c253c0b3dd24916e4ec7cf77d3db5294cc9fd45ae7b9c5e82ad8197f38a24";
  writeFileSync(file, Buffer.concat([Buffer.alloc((1 << 20) - 3), Buffer.from(`\x003.40.1\0${id}`)]));
  expect(sqliteVersionsIn(file)).toEqual(["3.40.1"]);
});

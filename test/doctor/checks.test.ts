/** Each check in this process, against real files and directories. */
import { chmodSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { checkDatabases } from "../../src/doctor/check-databases.ts";
import { checkDirectories } from "../../src/doctor/check-directories.ts";
import { checkFreeSpace } from "../../src/doctor/check-free-space.ts";
import { checkHooks } from "../../src/doctor/check-hooks.ts";
import { checkSqlite, checkVersions } from "../../src/doctor/check-versions.ts";
import { diagnose } from "../../src/doctor/diagnose.ts";
import type { Subject } from "../../src/doctor/subject.ts";
import { worstLevel } from "../../src/member/check-result.ts";
import { describeClock } from "../../src/member/heartbeat-clock.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

interface Layout extends Subject {
  readonly root: string;
}

/** Lisbon, which is operational, and porto; both with a database `shop` and others by pattern. */
function layout(self: "lisbon" | "porto", journal: Record<string, string | number> = {}): Layout {
  const root = temporaryDirectory();
  const members = Object.fromEntries(
    ["lisbon", "porto"].map((name) => [
      name,
      {
        mailbox: `file://${join(root, name, "mailbox")}`,
        state: join(root, name, "state"),
        databases: { shop: join(root, name, "shop.db"), "tenant-*": join(root, name, "tenants", "*.db") },
      },
    ]),
  );
  for (const name of ["lisbon", "porto"]) {
    for (const directory of ["mailbox", "state/journal", "tenants"]) {
      mkdirSync(join(root, name, directory), { recursive: true });
    }
  }
  const path = join(root, "afterimage.yaml");
  writeFileSync(path, stringify({ mirror: "clinic", operational: "lisbon", members, journal }));
  const configuration = loadConfiguration(path);
  const member = configuration.members.get(self);
  if (member === undefined) throw new Error("no such member");
  return { root, configuration, member };
}

function makeDatabase(path: string, mode: "wal" | "delete" = "wal"): void {
  const database = new Database(path);
  database.pragma(`journal_mode = ${mode}`);
  database.exec("CREATE TABLE t (a)");
  database.close();
}

describe("databases", () => {
  test("in WAL mode are good, those that match a pattern too", () => {
    const subject = layout("lisbon");
    makeDatabase(join(subject.root, "lisbon", "shop.db"));
    makeDatabase(join(subject.root, "lisbon", "tenants", "ana.db"));
    expect(checkDatabases(subject).map(({ check, level }) => [check, level])).toEqual([
      ["database shop", "OK"],
      ["databases tenant-*", "OK"],
      ["database tenant-ana", "OK"],
    ]);
  });

  test.each([
    ["is missing on the operational member", "lisbon", () => undefined, /^DATABASE_MISSING: /],
    ["has a rollback journal", "lisbon", (path: string) => makeDatabase(path, "delete"), /is not in WAL mode$/],
    ["is no database", "porto", (path: string) => writeFileSync(path, "nonsense"), /^DATABASE_NOT_SQLITE: /],
    ["is empty", "lisbon", (path: string) => writeFileSync(path, ""), /^DATABASE_EMPTY: /],
  ] as const)("one that %s fails, with advice", (_, self, make, message) => {
    const subject = layout(self);
    make(join(subject.root, self, "shop.db"));
    const [shop] = checkDatabases(subject);
    expect(shop).toMatchObject({ level: "FAIL", message: expect.stringMatching(message), hint: expect.any(String) });
  });

  test("that a mirror does not have yet are no fault", () => {
    expect(checkDatabases(layout("porto"))[0]).toMatchObject({
      level: "OK",
      message: expect.stringMatching(/not there yet/),
    });
  });

  test("of a pattern whose directory is gone cannot be looked for", () => {
    const subject = layout("porto");
    rmSync(join(subject.root, "porto", "tenants"), { recursive: true });
    expect(checkDatabases(subject).at(-1)).toMatchObject({ check: "databases tenant-*", level: "FAIL" });
  });
});

describe("directories", () => {
  test("that are writable are good, and one that is to be made is a warning", () => {
    const subject = layout("porto");
    rmSync(join(subject.root, "porto", "mailbox"), { recursive: true });
    expect(checkDirectories(subject).map(({ check, level }) => [check, level])).toEqual([
      ["state directory", "OK"],
      ["journal directory", "OK"],
      ["mailbox directory", "WARN"],
    ]);
  });

  test("with a file in their place fail", () => {
    const subject = layout("porto");
    rmSync(join(subject.root, "porto", "state"), { recursive: true });
    writeFileSync(join(subject.root, "porto", "state"), "");
    expect(checkDirectories(subject)[0]).toMatchObject({
      level: "FAIL",
      message: expect.stringMatching(/is not a directory$/),
    });
  });

  test("that cannot be written to fail", () => {
    const subject = layout("porto");
    const [state] = checkDirectories({ ...subject, member: { ...subject.member, state: "/proc/self" } });
    expect(state).toMatchObject({ level: "FAIL", hint: expect.any(String) });
  });
});

test("hooks must be executable files, and should not be everybody's to change", () => {
  const subject = layout("porto");
  const file = (name: string, mode: number) => {
    const path = join(subject.root, name);
    writeFileSync(path, "#!/bin/sh\n");
    chmodSync(path, mode);
    return path;
  };
  const hooks = {
    timeLimitMs: 1000,
    beforePromote: file("good", 0o755),
    afterPromote: file("data", 0o644),
    afterFence: file("open", 0o777),
    diverged: join(subject.root, "missing"),
  };
  const results = checkHooks({ ...subject, member: { ...subject.member, hooks } });
  expect(results.map(({ check, level, hint }) => [check, level, hint !== null])).toEqual([
    ["hook beforePromote", "OK", false],
    ["hook afterPromote", "FAIL", true],
    ["hook afterFence", "WARN", true],
    ["hook diverged", "FAIL", true],
  ]);
  expect(checkHooks(subject)).toEqual([]);
});

test("free space is judged by journal.minFree, once for each file system", () => {
  const { bavail, bsize } = statfsSync(tmpdir());
  const free = bavail * bsize;
  const levelWith = (minFree: number) => checkFreeSpace(layout("porto", { minFree })).map(({ level }) => level);
  expect(levelWith(1)).toEqual(["OK"]);
  expect(levelWith(Math.floor(free * 0.75))).toEqual(["WARN"]);
  expect(levelWith(Math.floor(free * 2))).toEqual(["FAIL"]);
});

test("versions: this Node and this SQLite are good, a SQLite with the lost-commit fault is not", () => {
  expect(worstLevel(checkVersions())).toBe("OK");
  const levels = ["3.51.2", "3.51.3", "3.52.0", "3.50.7", "3.9.9"].map((version) => checkSqlite(version).level);
  expect(levels).toEqual(["FAIL", "OK", "OK", "OK", "FAIL"]);
});

test("a clock's difference is said with its sign and how sure it is", () => {
  expect(describeClock({ writtenMs: 10_000, beforeMs: 9_900, afterMs: 10_100 })).toBe(
    "its clock is the same as this one's, to 0.1 s",
  );
  expect(describeClock({ writtenMs: 15_000, beforeMs: 9_900, afterMs: 10_100 })).toBe(
    "its clock is 5.0 s ahead of this one, to 0.1 s",
  );
  expect(describeClock({ writtenMs: 7_500, beforeMs: 9_600, afterMs: 10_400 })).toBe(
    "its clock is 2.5 s behind this one, to 0.4 s",
  );
});

test("all checks together change nothing, and a mailbox without a status document is a warning", async () => {
  const subject = layout("porto");
  const results = await diagnose(subject);
  expect(worstLevel(results)).toBe("WARN");
  expect(results.filter(({ level }) => level !== "OK")).toMatchObject([{ check: "mailbox of lisbon", level: "WARN" }]);
});

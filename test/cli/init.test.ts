import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { afterimage } from "./afterimage.ts";

function setUp() {
  const cwd = temporaryDirectory();
  const database = join(cwd, "lisbon.db");
  const db = new Database(database);
  db.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
  db.close();
  const members = ["lisbon", "porto", "faro"].flatMap((name) => [
    ...["--member", `${name}=file://${join(cwd, name, "mailbox")}`],
    ...["--state", `${name}=${join(cwd, name, "state")}`],
    ...["--database", `${name}:shop=${name === "lisbon" ? database : join(cwd, name, "data", "shop.db")}`],
  ]);
  const flags = [
    "--mirror",
    "clinic",
    "--operational",
    "lisbon",
    ...members,
    "--follows",
    "faro=porto",
    "--type",
    "faro=dr",
  ];
  return { cwd, database, flags: ["init", ...flags, "--rotate", "continuous"] };
}

function journalModeOf(path: string): unknown {
  const db = new Database(path, { readonly: true });
  try {
    return db.pragma("journal_mode", { simple: true });
  } finally {
    db.close();
  }
}

test("without --node only the file is written, and the next commands are shown", async () => {
  const { cwd, database, flags } = setUp();
  const { code, stdout } = await afterimage(flags, { cwd });
  expect(code).toBe(0);
  const path = join(cwd, "afterimage.yaml");
  const configuration = loadConfiguration(path);
  expect([...configuration.members.keys()]).toEqual(["lisbon", "porto", "faro"]);
  expect(configuration.members.get("faro")).toMatchObject({ follows: "porto", type: "dr" });
  expect(configuration.journal.rotate).toEqual({ kind: "continuous" });
  expect(stdout).toContain(`Wrote ${path}\n`);
  expect(stdout).toContain(`  afterimage --config ${path} --node lisbon run\n`);
  expect(existsSync(join(cwd, "porto"))).toBe(false);
  expect(journalModeOf(database)).toBe("delete");
});

test("a database that is not in WAL mode is refused, and converted when asked for", async () => {
  const { cwd, database, flags } = setUp();
  const refused = await afterimage([...flags, "--node", "lisbon"], { cwd });
  expect(refused.code).toBe(3);
  expect(refused.stderr).toContain(`error DATABASE_NOT_WAL: the database is not in WAL mode\n  path: ${database}\n`);
  expect(refused.stderr).toContain("--convert-wal");
  expect(existsSync(join(cwd, "afterimage.yaml"))).toBe(false);
  const done = await afterimage([...flags, "--node", "lisbon", "--convert-wal", "--json"], { cwd });
  expect(done.code).toBe(0);
  const path = join(cwd, "afterimage.yaml");
  expect(JSON.parse(done.stdout)).toMatchObject({
    file: path,
    written: true,
    converted: [database],
    directories: [join(cwd, "lisbon", "mailbox"), join(cwd, "lisbon", "state")],
    key: null,
    files: [join(cwd, "afterimage-lisbon", "afterimage.service")],
    connections: [{ member: "porto", failed: { code: "TARGET_MISSING" } }, { member: "faro" }],
    next: expect.arrayContaining([
      { member: "lisbon", what: "start it", commands: [`afterimage --config ${path} --node lisbon run`] },
    ]),
  });
  expect(journalModeOf(database)).toBe("wal");
});

test("a database in use is not converted", async () => {
  const { cwd, database, flags } = setUp();
  const db = new Database(database);
  db.exec("BEGIN IMMEDIATE");
  try {
    const { code, stderr } = await afterimage([...flags, "--node", "lisbon", "--convert-wal"], { cwd });
    expect(code).toBe(4);
    expect(stderr).toContain("error DATABASE_BUSY: ");
  } finally {
    db.close();
  }
});

test("the same command may be run again, and on the other members; another configuration is not replaced without --force", async () => {
  const { cwd, flags } = setUp();
  const onPorto = [...flags, "--node", "porto"];
  expect(await afterimage(onPorto, { cwd })).toMatchObject({ code: 0 });
  expect(await afterimage(onPorto, { cwd })).toMatchObject({ code: 0 });
  expect(existsSync(join(cwd, "porto", "data"))).toBe(true);
  const other = [...flags, "--rotate", "* * * * *"];
  const refused = await afterimage(other, { cwd });
  expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining("error FILE_EXISTS: ") });
  expect(await afterimage([...other, "--force"], { cwd })).toMatchObject({ code: 0 });
  expect(readFileSync(join(cwd, "afterimage.yaml"), "utf8")).toContain("rotate: ");
});

test("a mirror's database is not made over a file that is there", async () => {
  const { cwd, flags } = setUp();
  mkdirSync(join(cwd, "porto", "data"), { recursive: true });
  writeFileSync(join(cwd, "porto", "data", "shop.db"), "precious");
  const { code, stderr } = await afterimage([...flags, "--node", "porto"], { cwd });
  expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining("error DATABASE_EXISTS: ") });
});

test("a state directory that was prepared for one member is not made another's", async () => {
  const { cwd, flags } = setUp();
  const state = join(cwd, "porto", "state");
  mkdirSync(state, { recursive: true });
  writeFileSync(join(state, "node"), "lisbon\n");
  const { code, stderr } = await afterimage([...flags, "--node", "porto"], { cwd });
  expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining("prepared as lisbon, not as porto") });
});

test("a machine that was prepared knows which member it is", async () => {
  const { cwd, flags } = setUp();
  expect(await afterimage([...flags, "--node", "porto"], { cwd })).toMatchObject({ code: 0 });
  const again = await afterimage(["init", "--json"], { cwd });
  expect(JSON.parse(again.stdout)).toMatchObject({ written: false, next: [{ member: "porto", what: "start it" }, {}] });
});

test.each([
  ["a flag that is not of its form", ["--state", "lisbon"], "USAGE", "is not --state NAME=DIR"],
  ["a member that is not named", ["--type", "evora=dr"], "USAGE", "no --member is named evora"],
  ["the same thing twice", ["--follows", "faro=lisbon"], "USAGE", "is given twice"],
  ["what the configuration does not allow", ["--follows", "porto=faro"], "CONFIG_INVALID", "FOLLOWS_CYCLE"],
])("%s is a fault", async (_, extra, error, message) => {
  const { cwd, flags } = setUp();
  const { code, stderr } = await afterimage([...flags, ...extra], { cwd });
  expect(code).toBe(2);
  expect(stderr).toContain(`error ${error}: `);
  expect(stderr).toContain(message);
  expect(existsSync(join(cwd, "afterimage.yaml"))).toBe(false);
});

test("a missing operational database is named", async () => {
  const { cwd, flags } = setUp();
  const elsewhere = flags.map((flag) => flag.replace("lisbon.db", "nowhere.db"));
  const { code, stderr } = await afterimage([...elsewhere, "--node", "lisbon"], { cwd });
  expect(code).toBe(1);
  expect(stderr).toContain(`error DATABASE_MISSING: the operational member's database does not exist\n  path: ${cwd}`);
});

test("the databases that a pattern finds are prepared, and its directories are made", async () => {
  const { cwd, database } = setUp();
  const flags = ["--mirror", "clinic", "--operational", "lisbon", "--convert-wal"];
  const members = ["lisbon", "porto"].flatMap((name) => [
    ...["--member", `${name}=file://${join(cwd, name, "mailbox")}`, "--state", `${name}=${join(cwd, name, "state")}`],
    ...["--database", `${name}:*=${name === "lisbon" ? cwd : join(cwd, "copies")}/*.db`],
  ]);
  expect((await afterimage(["init", ...flags, ...members, "--node", "lisbon"], { cwd })).code).toBe(0);
  expect(journalModeOf(database)).toBe("wal");
  expect((await afterimage(["init", ...flags, ...members, "--force", "--node", "porto"], { cwd })).code).toBe(0);
  expect(existsSync(join(cwd, "copies"))).toBe(true);
});

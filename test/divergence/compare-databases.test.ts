import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { compareDatabases } from "../../src/divergence/compare-databases.ts";
import type { ChangedRow, NamedValue, ReportedRow, TableDifference } from "../../src/divergence/divergence-report.ts";
import { fence } from "../../src/sqlite/fence.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";
import { type CopySql, copiesOf } from "./copies.ts";

function compare(sql: CopySql, rowsListed?: number) {
  const { lost, winning } = copiesOf(sql);
  return compareDatabases(lost, winning, rowsListed === undefined ? {} : { rowsListed });
}

/** `1,integer 5,text x`: a row by its values, without names. */
function brief(values: readonly NamedValue[]): string {
  return values.map(({ value: { type, value } }) => (type === "null" ? "null" : `${type} ${value}`)).join(",");
}

function briefRow({ key, values, copies }: ReportedRow): string {
  return `${brief(key)}: ${brief(values)}${copies === 1 ? "" : ` x${copies}`}`;
}

function briefChange({ key, changes }: ChangedRow): string {
  const texts = changes.map(({ column, lost, winning }) => `${column} ${lost.value} -> ${winning.value}`);
  return `${brief(key)}: ${texts.join(",")}`;
}

function briefTable({ name, foundBy, onlyInLost, onlyInWinning, changed }: TableDifference) {
  return {
    name,
    foundBy,
    lost: onlyInLost.rows.map(briefRow),
    winning: onlyInWinning.rows.map(briefRow),
    changed: changed.rows.map(briefChange),
  };
}

function onlyTable(sql: CopySql) {
  const { tables } = compare(sql);
  expect(tables).toHaveLength(1);
  return tables.map(briefTable)[0];
}

test("equal copies are equal", () => {
  const both = "CREATE TABLE a (x); INSERT INTO a VALUES (1), (NULL); CREATE TABLE b (k PRIMARY KEY) WITHOUT ROWID;";
  expect(compare({ both })).toMatchObject({ equal: true, schema: [], tables: [], equalTables: ["a", "b"] });
});

test("rows are found by an integer primary key, and told with what was in them", () => {
  const table = onlyTable({
    both: "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', 3);",
    lost: "UPDATE t SET a = 'changed', b = NULL WHERE id = 2; INSERT INTO t VALUES (9, x'00ff', 1.5);",
    winning: "DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (-5, 'new', 9223372036854775807);",
  });
  expect(table).toEqual({
    name: "t",
    foundBy: "primary key",
    lost: ["integer 3: text z,integer 3", "integer 9: blob 00ff,real 1.5"],
    winning: ["integer -5: text new,integer 9223372036854775807"],
    changed: ["integer 2: a changed -> y,b  -> 2"],
  });
});

describe("rows are found", () => {
  test.each([
    ["by a key of several columns", "CREATE TABLE t (a, b, c, PRIMARY KEY (b, a));", "primary key"],
    ["by a key without rowid", "CREATE TABLE t (a, b, c, PRIMARY KEY (b, a)) WITHOUT ROWID;", "primary key"],
    ["by rowid when there is no key", "CREATE TABLE t (a, b, c);", "rowid"],
    ["by another name of the rowid", "CREATE TABLE t (a, b, c, rowid, _ROWID_);", "rowid"],
    [
      "by rowid when the key has NULLs",
      "CREATE TABLE t (a PRIMARY KEY, b, c); INSERT INTO t VALUES (NULL, 7, 7);",
      "rowid",
    ],
  ] as const)("%s", (_, schema, foundBy) => {
    const { tables } = compare({
      both: `${schema} INSERT INTO t (a, b, c) VALUES (1, 1, 1), (2, 2, 2);`,
      lost: "UPDATE t SET c = 'l' WHERE a = 1;",
      winning: "DELETE FROM t WHERE a = 2;",
    });
    expect(tables).toMatchObject([
      { foundBy, onlyInLost: { count: 1 }, onlyInWinning: { count: 0 }, changed: { count: 1 } },
    ]);
  });

  test("by all columns, as often as they are there, when columns took every name of the rowid", () => {
    const table = onlyTable({
      both: "CREATE TABLE t (rowid, oid, _rowid_); INSERT INTO t VALUES (1, 1, 1), (1, 1, 1), (2, NULL, 'x');",
      lost: "INSERT INTO t VALUES (1, 1, 1), (1, 1, 1), (1, 1, 1.0);",
      winning: "DELETE FROM t WHERE rowid = 2; INSERT INTO t VALUES (2, 0, 'x');",
    });
    expect(table).toEqual({
      name: "t",
      foundBy: "whole row",
      lost: [": integer 1,integer 1,integer 1 x2", ": integer 1,integer 1,real 1.0", ": integer 2,null,text x"],
      winning: [": integer 2,integer 0,text x"],
      changed: [],
    });
  });

  test("by the key's own collation, while values are equal only byte by byte", () => {
    const table = onlyTable({
      both: "CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, v TEXT COLLATE RTRIM) WITHOUT ROWID;",
      lost: "INSERT INTO t VALUES ('Ana', 'x'), ('Rui', 'y');",
      winning: "INSERT INTO t VALUES ('ANA', 'x'), ('Rui', 'y  ');",
    });
    expect(table).toMatchObject({
      lost: [],
      winning: [],
      changed: ["text Ana: k Ana -> ANA", "text Rui: v y -> y  "],
    });
  });
});

test("types make values different, affinity does not", () => {
  const table = onlyTable({
    both: "CREATE TABLE t (id INTEGER PRIMARY KEY, n NUMERIC, a);",
    lost: "INSERT INTO t VALUES (1, '5', 1), (2, 5, '1'), (3, 5, x'31');",
    winning: "INSERT INTO t VALUES (1, 5.0, 1.0), (2, 5, 1), (3, 5, '1');",
  });
  expect(table?.changed).toEqual(["integer 1: a 1 -> 1.0", "integer 2: a 1 -> 1", "integer 3: a 31 -> 1"]);
});

test("a collation that only the application has keeps a table from being read only where it is its order", () => {
  const { lost, winning } = copiesOf({
    both: `CREATE TABLE r (k TEXT COLLATE NOCASE PRIMARY KEY); CREATE INDEX i ON r (k COLLATE RTRIM);
      CREATE TABLE w (k TEXT COLLATE NOCASE PRIMARY KEY) WITHOUT ROWID;`,
    lost: "INSERT INTO r VALUES ('x'); INSERT INTO w VALUES ('x');",
  });
  for (const path of [lost, winning]) {
    const database = new Database(path).unsafeMode();
    database.pragma("writable_schema = ON");
    database.exec("UPDATE sqlite_schema SET sql = replace(replace(sql, 'NOCASE', 'mine'), 'RTRIM', 'mine')");
    database.close();
  }
  const report = compareDatabases(lost, winning);
  expect(report.tables.map(briefTable)).toMatchObject([{ name: "r", foundBy: "rowid", lost: ["integer 1: text x"] }]);
  expect(report.notCompared).toMatchObject([{ name: "w", equal: false, reason: expect.stringMatching(/mine/) }]);
});

test("generated columns are left out, whatever the application's functions", () => {
  const table = onlyTable({
    both: "CREATE TABLE t (id INTEGER PRIMARY KEY, a, v AS (a * 2), s AS (a + 1) STORED);",
    lost: "INSERT INTO t (a) VALUES (3);",
  });
  expect(table?.lost).toEqual(["integer 1: integer 3"]);
});

test("names may be anything", () => {
  const name = `we"ird 'ta.ble; --`;
  const both = `CREATE TABLE "we""ird 'ta.ble; --" ("select" INTEGER PRIMARY KEY, "a""b", "" TEXT, "x.y");`;
  const table = onlyTable({ both, lost: `INSERT INTO "we""ird 'ta.ble; --" VALUES (1, 2, 3, 4);` });
  expect(table).toMatchObject({ name, lost: ["integer 1: integer 2,text 3,integer 4"] });
});

test("a column that one copy does not have counts as NULL there", () => {
  const { tables, schema } = compare({
    both: "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 1), (2, 2);",
    lost: "ALTER TABLE t ADD COLUMN extra; UPDATE t SET extra = 'x' WHERE id = 2;",
  });
  expect(tables.map(briefTable)).toMatchObject([{ lost: [], winning: [], changed: ["integer 2: extra x -> "] }]);
  expect(schema).toMatchObject([{ type: "table", name: "t" }]);
});

test("definitions that differ are told, by type and name, and tables that only one has with their rows", () => {
  const report = compare({
    both: "CREATE TABLE t (a); CREATE INDEX i ON t (a);",
    lost: "CREATE TABLE gone (k TEXT PRIMARY KEY, v); INSERT INTO gone VALUES ('b', 2), ('a', 1); CREATE VIEW v AS SELECT 1;",
    winning: "DROP INDEX i; CREATE INDEX i ON t (a DESC); CREATE TABLE empty (a);",
  });
  expect(report.schema.map(({ type, name, lost, winning }) => [type, name, lost !== null, winning !== null])).toEqual([
    ["table", "empty", false, true],
    ["table", "gone", true, false],
    ["index", "i", true, true],
    ["view", "v", true, false],
  ]);
  expect(report.tables.map(briefTable)).toEqual([
    {
      name: "gone",
      foundBy: "primary key",
      lost: ["text a: integer 1", "text b: integer 2"],
      winning: [],
      changed: [],
    },
  ]);
  expect(report).toMatchObject({ equal: false, equalTables: ["t"] });
});

test("a virtual table is not compared, but its own tables say whether it is equal", () => {
  const both = "CREATE VIRTUAL TABLE docs USING fts5(body); INSERT INTO docs VALUES ('hello');";
  expect(compare({ both })).toMatchObject({
    equal: true,
    equalTables: [],
    notCompared: [{ name: "docs", equal: true }],
  });
  const report = compare({ both, lost: "INSERT INTO docs VALUES ('only here');" });
  expect(report).toMatchObject({ equal: false, schema: [], tables: [], equalTables: [] });
  expect(report.notCompared).toMatchObject([
    { name: "docs", equal: false, reason: expect.stringMatching(/docs_content/) },
  ]);
});

test("all rows are counted, and the first ones in the order of the key listed", () => {
  const numbers = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)";
  const { tables } = compare(
    {
      both: `CREATE TABLE t (k TEXT PRIMARY KEY, v); ${numbers} INSERT INTO t SELECT printf('%04d', 1000 - i), i FROM n;`,
      lost: "UPDATE t SET v = -v WHERE k >= '0500'; INSERT INTO t VALUES ('a', 1), ('c', 1), ('b', 1);",
      winning: "DELETE FROM t WHERE k < '0007';",
    },
    3,
  );
  expect(tables).toMatchObject([
    {
      rows: { lost: 1003, winning: 993 },
      onlyInLost: { count: 10 },
      onlyInWinning: { count: 0 },
      changed: { count: 500 },
    },
  ]);
  expect(tables[0]?.onlyInLost.rows.map(({ key }) => brief(key))).toEqual(["text 0000", "text 0001", "text 0002"]);
  expect(tables[0]?.changed.rows.map(({ key }) => brief(key))).toEqual(["text 0500", "text 0501", "text 0502"]);
});

test("long values are shown by their beginning, length and hash", () => {
  const { tables } = compare({
    both: "CREATE TABLE t (a, b, c);",
    lost: "INSERT INTO t VALUES (printf('%.*c', 199, 'a') || '\u{1f600}' || 'rest', zeroblob(65), zeroblob(64));",
  });
  const [long, blob, short] = tables[0]?.onlyInLost.rows[0]?.values.map(({ value }) => value) ?? [];
  expect(long).toEqual({
    type: "text",
    value: "a".repeat(199),
    whole: { bytes: 207, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
  });
  expect(blob).toMatchObject({ value: "00".repeat(64), whole: { bytes: 65 } });
  expect(short).toEqual({ type: "blob", value: "00".repeat(64) });
});

test("copies are read with their WAL, fenced or not, and neither file of theirs is changed", async () => {
  const { lost, winning } = copiesOf({ both: "CREATE TABLE t (a);" });
  const writer = new Database(lost);
  writer.pragma("wal_autocheckpoint = 0");
  writer.exec("INSERT INTO t VALUES ('in the WAL')");
  const copy = join(temporaryDirectory(), "copy.db");
  await fence(lost);
  for (const suffix of ["", "-wal"]) copyFileSync(lost + suffix, copy + suffix);
  writer.close();
  const before = ["", "-wal"].map((suffix) => readFileSync(copy + suffix));
  expect(compareDatabases(copy, winning).tables.map(briefTable)).toMatchObject([
    { lost: ["integer 1: text in the WAL"] },
  ]);
  expect(["", "-wal"].map((suffix) => readFileSync(copy + suffix))).toEqual(before);
  expect(before[1]?.length).toBeGreaterThan(0);
});

test("a writer goes on while its database is compared, and what it commits meanwhile is not seen", () => {
  const { lost, winning } = copiesOf({ both: "CREATE TABLE t (a); INSERT INTO t VALUES (1);" });
  const writer = new Database(winning);
  writer.exec("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)");
  expect(compareDatabases(lost, winning).equal).toBe(true);
  writer.exec("COMMIT");
  writer.close();
  expect(compareDatabases(lost, winning).equal).toBe(false);
});

test("a table that is damaged is said to be, and the others are compared", () => {
  const { lost, winning } = copiesOf({
    both: "CREATE TABLE bad (a); INSERT INTO bad VALUES (1); CREATE TABLE good (a);",
    lost: "INSERT INTO good VALUES (1);",
  });
  const database = new Database(lost);
  const page = Number(database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'bad'").pluck().get());
  const pageSize = Number(database.pragma("page_size", { simple: true }));
  database.close();
  const bytes = readFileSync(lost);
  bytes.fill(0xee, (page - 1) * pageSize, page * pageSize);
  const damaged = join(temporaryDirectory(), "damaged.db");
  writeFileSync(damaged, bytes);
  const report = compareDatabases(damaged, winning);
  expect(report.notCompared).toMatchObject([
    { name: "bad", equal: false, reason: expect.stringMatching(/cannot be read/) },
  ]);
  expect(report.tables).toMatchObject([{ name: "good", onlyInLost: { count: 1 } }]);
});

test("what is missing or no database is an error with its path", () => {
  const { lost } = copiesOf({ both: "CREATE TABLE t (a);" });
  const other = join(temporaryDirectory(), "other.db");
  expect(thrownBy(() => compareDatabases(lost, other))).toMatchObject({ code: "DATABASE_MISSING", path: other });
  expect(existsSync(other)).toBe(false);
  writeFileSync(other, Buffer.alloc(4096, "x"));
  expect(thrownBy(() => compareDatabases(lost, other))).toMatchObject({ code: "DATABASE_NOT_SQLITE", path: other });
  expect(thrownBy(() => compareDatabases(other, lost))).toMatchObject({ code: "DATABASE_NOT_SQLITE", path: other });
});

/** A table of any shape, edited in both copies: the report lists the edits, all of them, and nothing else. */
import Database from "better-sqlite3";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compareDatabases } from "../../src/divergence/compare-databases.ts";
import type { NamedValue, ReportedRow, TableDifference } from "../../src/divergence/divergence-report.ts";
import { reportedValue, type SqliteValue } from "../../src/divergence/reported-value.ts";
import { copiesOf } from "./copies.ts";

/** Neighbours are equal by some collation, by number, or in how they are shown. */
const VALUES: readonly SqliteValue[] = [1n, 1, "1", "a ", "a", "A", Buffer.from("a"), "", null];
/** Keys differ by every collation that is used. */
const KEYS_USED = 5;
const KEYS: readonly SqliteValue[] = [
  -3n,
  1n,
  2.5,
  "a",
  "b",
  "ç",
  "Z",
  Buffer.from("a"),
  Buffer.from([0, 255]),
  2n ** 62n,
];
/** Columns without affinity, so that what is written is what is there. */
const COLLATIONS = ["", "COLLATE NOCASE", "COLLATE RTRIM"];
const NAMES = ["plain", "select", 'qu"ote', "with space", "ção", "rowid"];

type Shape = "integer key" | "any key" | "two keys" | "without rowid" | "no key" | "no way";
const SHAPES: readonly Shape[] = ["integer key", "any key", "two keys", "without rowid", "no key", "no way"];

interface Edit {
  readonly side: "lost" | "winning";
  readonly key: number;
  /** How far each column's value moves among VALUES; null removes the row. */
  readonly move: readonly number[] | null;
}

const value = fc.nat({ max: VALUES.length - 1 });
const rowOf = fc.tuple(value, value);
/** Mostly one column alone, to what is most alike: what is found by another column proves nothing. */
const move = fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 4);
const edit: fc.Arbitrary<Edit> = fc.record({
  side: fc.constantFrom("lost", "winning"),
  key: fc.nat({ max: KEYS_USED - 1 }),
  move: fc.option(fc.tuple(move, move)),
});

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** Key columns first. */
function schemaOf(shape: Shape, names: readonly string[], collations: readonly string[]) {
  const [a = "", b = ""] = names.map(quoted);
  const [ca = "", cb = ""] = collations;
  const values = `${a} ${ca}, ${b} ${cb}`;
  switch (shape) {
    case "integer key":
      return { sql: `CREATE TABLE t (k1 INTEGER PRIMARY KEY, ${values})`, keys: ["k1"], foundBy: "primary key" };
    case "any key":
      return { sql: `CREATE TABLE t (k1 ${ca} PRIMARY KEY, ${values})`, keys: ["k1"], foundBy: "primary key" };
    case "two keys":
      return {
        sql: `CREATE TABLE t (k1, k2 ${cb}, ${values}, PRIMARY KEY (k2, k1 DESC))`,
        keys: ["k1", "k2"],
        foundBy: "primary key",
      };
    case "without rowid":
      return {
        sql: `CREATE TABLE t (k1, k2 ${ca}, ${values}, PRIMARY KEY (k1, k2)) WITHOUT ROWID`,
        keys: ["k1", "k2"],
        foundBy: "primary key",
      };
    case "no key":
      return {
        sql: `CREATE TABLE t (${values})`,
        keys: [names.includes("rowid") ? "_rowid_" : "rowid"],
        foundBy: "rowid",
      };
    case "no way":
      return { sql: `CREATE TABLE t (${values}, _rowid_, oid, "ROWID" AS (1))`, keys: [], foundBy: "whole row" };
  }
}

type Rows = Map<number, readonly number[]>;

/** What a row's key is in each key column; integers where SQLite wants them. */
function keyValues(key: number, shape: Shape, count: number): SqliteValue[] {
  const integer = shape === "integer key" || shape === "no key";
  const one = integer ? BigInt(key * 3 - 7) : (KEYS[key] ?? null);
  return [one, KEYS[(key * 7) % KEYS.length] ?? null].slice(0, count);
}

function fill(path: string, rows: Rows, shape: Shape, columns: readonly string[], keyCount: number): void {
  const database = new Database(path);
  const insert = database.prepare(
    `INSERT INTO t (${columns.map(quoted).join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
  );
  database.transaction(() => {
    for (const [key, row] of rows) {
      insert.run(...keyValues(key, shape, keyCount), ...valuesOf(row));
    }
  })();
  database.close();
}

function text(values: readonly NamedValue[]): string {
  return values.map(({ column, value }) => `${column}=${value.type} ${value.value}`).join();
}

function named(columns: readonly string[], values: readonly SqliteValue[]): NamedValue[] {
  return columns.map((column, index) => ({ column, value: reportedValue(values[index] ?? null) }));
}

/** A difference in few words, sorted: one for each row. */
function summary({ onlyInLost, onlyInWinning, changed }: TableDifference): string[] {
  const copies = (sign: string) => (row: ReportedRow) =>
    Array.from({ length: row.copies }, () => `${sign} ${text([...row.key, ...row.values].toSorted(byColumn))}`);
  const changes = changed.rows.map(({ key, changes }) => {
    const columns = changes.map(
      ({ column, lost, winning }) => `${column}: ${lost.type} ${lost.value} -> ${winning.type} ${winning.value}`,
    );
    return `~ ${text([...key].toSorted(byColumn))} ${columns.toSorted().join()}`;
  });
  return [...onlyInLost.rows.flatMap(copies("-")), ...onlyInWinning.rows.flatMap(copies("+")), ...changes].toSorted();
}

function byColumn(a: NamedValue, b: NamedValue): number {
  return a.column < b.column ? -1 : 1;
}

interface Expected {
  readonly shape: Shape;
  readonly keys: readonly string[];
  readonly names: readonly string[];
  readonly lost: Rows;
  readonly winning: Rows;
}

/** The same from what was written, without SQL. */
function expectedSummary(expected: Expected): string[] {
  return (expected.shape === "no way" ? surplus(expected) : byKey(expected)).toSorted();
}

function byKey({ shape, keys, names, lost, winning }: Expected): string[] {
  const whole = (key: number, row: readonly number[]) =>
    text(named([...keys, ...names], [...keyValues(key, shape, keys.length), ...valuesOf(row)]).toSorted(byColumn));
  return [...new Set([...lost.keys(), ...winning.keys()])].flatMap((key) => {
    const [a, b] = [lost.get(key), winning.get(key)];
    if (a === undefined || b === undefined) return a === undefined ? `+ ${whole(key, b ?? [])}` : `- ${whole(key, a)}`;
    const columns = names.flatMap((column, index) => {
      const [x, y] = [a[index], b[index]];
      if (x === y) return [];
      const [was, is] = [reportedValue(VALUES[x ?? 0] ?? null), reportedValue(VALUES[y ?? 0] ?? null)];
      return [`${column}: ${was.type} ${was.value} -> ${is.type} ${is.value}`];
    });
    const keyText = text(named(keys, keyValues(key, shape, keys.length)).toSorted(byColumn));
    return columns.length === 0 ? [] : `~ ${keyText} ${columns.toSorted().join()}`;
  });
}

/** Where rows are only told apart by what is in them. */
function surplus({ names, lost, winning }: Expected): string[] {
  const rest = [...winning.values()].map(String);
  const onlyInLost = [...lost.values()].filter((row) => {
    const at = rest.indexOf(String(row));
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
  const onlyInWinning = rest.map((row) => row.split(",").map(Number));
  // Two columns of this shape are never written to.
  const whole = (row: readonly number[]) =>
    text(named([...names, "_rowid_", "oid"], [...valuesOf(row), null, null]).toSorted(byColumn));
  return [...onlyInLost.map((row) => `- ${whole(row)}`), ...onlyInWinning.map((row) => `+ ${whole(row)}`)];
}

function valuesOf(row: readonly number[]): SqliteValue[] {
  return row.map((index) => VALUES[index] ?? null);
}

test("the report lists exactly the edits of both copies", () => {
  const world = fc.record({
    shape: fc.constantFrom(...SHAPES),
    names: fc.shuffledSubarray(NAMES, { minLength: 2, maxLength: 2 }),
    collations: fc.tuple(fc.constantFrom(...COLLATIONS), fc.constantFrom(...COLLATIONS)),
    base: fc.array(fc.tuple(fc.nat({ max: KEYS_USED - 1 }), rowOf), { maxLength: 8 }),
    edits: fc.array(edit, { maxLength: 8 }),
  });
  const found = new Map<string, number>();
  fc.assert(
    fc.property(world, ({ shape, names: drawn, collations, base, edits }) => {
      const names = shape === "no way" ? drawn.map((name) => (name === "rowid" ? "other" : name)) : drawn;
      const { sql, keys, foundBy } = schemaOf(shape, names, collations);
      const sides = {
        lost: new Map<number, readonly number[]>(base),
        winning: new Map<number, readonly number[]>(base),
      };
      for (const { side, key, move } of edits) {
        const row = sides[side].get(key) ?? [0, 0];
        if (move === null) sides[side].delete(key);
        else
          sides[side].set(
            key,
            row.map((at, column) => (at + (move[column] ?? 0)) % VALUES.length),
          );
      }
      const paths = copiesOf({ both: `${sql};` });
      for (const side of ["lost", "winning"] as const)
        fill(paths[side], sides[side], shape, [...keys, ...names], keys.length);
      const expected = expectedSummary({ shape, keys, names, ...sides });
      const report = compareDatabases(paths.lost, paths.winning);
      expect(report.notCompared).toEqual([]);
      expect(report.tables.flatMap(summary)).toEqual(expected);
      expect(report.equal).toBe(expected.length === 0);
      for (const table of report.tables) {
        expect(table.foundBy).toBe(foundBy);
        expect(table.rows).toEqual({ lost: sides.lost.size, winning: sides.winning.size });
        found.set(shape, (found.get(shape) ?? 0) + expected.length);
      }
    }),
    { numRuns: 120 },
  );
  expect([...found.keys()].sort()).toEqual([...SHAPES].sort());
});

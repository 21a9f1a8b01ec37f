/**
 * Compares the rows of one table. SQLite does it, by queries over both files: its own keys and collations find the rows,
 * and what has to be sorted is sorted in temporary files. What is held here is what is listed.
 *
 * Values are equal when they have the same type and the same bytes, whatever the column's collation says.
 */
import type { Database } from "better-sqlite3";
import type { ChangedRow, Listing, NamedValue, ReportedRow, TableDifference } from "./divergence-report.ts";
import { reportedValue, type SqliteValue, sameValue } from "./reported-value.ts";
import { type RowKey, rowKey, type Sides } from "./row-key.ts";
import { anyOf, quoted } from "./sql-text.ts";
import { foldName, type SchemaName, type TableShape } from "./table-shape.ts";

/** The table in each copy; at least one of them has it. */
export interface TablePair {
  readonly lost: TableShape | null;
  readonly winning: TableShape | null;
}

export class RowComparison {
  readonly #database: Database;
  readonly #pair: TablePair;
  readonly #name: string;
  readonly #key: RowKey;
  /** Of either copy, without those of the primary key when rows are found by it. */
  readonly #values: readonly string[];
  readonly #limit: number;

  /** @param limit how many rows a listing has at most. */
  constructor(database: Database, pair: TablePair, limit: number) {
    this.#database = database;
    this.#pair = pair;
    this.#limit = limit;
    const sides: Sides = [
      ...(pair.lost === null ? [] : [{ schema: "main" as const, shape: pair.lost }]),
      ...(pair.winning === null ? [] : [{ schema: "winning" as const, shape: pair.winning }]),
    ];
    this.#name = sides[0]?.shape.name ?? "";
    this.#key = rowKey(database, sides);
    const inKey = new Set(this.#key.columns.map(foldName));
    const byName = new Map(
      sides.toReversed().flatMap(({ shape }) => shape.columns.map((name) => [foldName(name), name])),
    );
    const names = [...new Set(sides.flatMap(({ shape }) => shape.columns.map(foldName)))];
    this.#values = names.filter((name) => !inKey.has(name)).map((name) => byName.get(name) ?? name);
  }

  /** Throws what SQLite throws. */
  run(): TableDifference {
    const whole = this.#key.kind === "whole row";
    return {
      name: this.#name,
      foundBy: this.#key.kind,
      rows: { lost: this.#countAll("main"), winning: this.#countAll("winning") },
      onlyInLost: whole ? this.#surplus("main") : this.#onlyIn("main"),
      onlyInWinning: whole ? this.#surplus("winning") : this.#onlyIn("winning"),
      changed: whole ? { count: 0, rows: [] } : this.#changed(),
    };
  }

  #countAll(schema: SchemaName): number | null {
    const shape = this.#shape(schema);
    return shape === null ? null : this.#count(`SELECT count(*) FROM ${scanned(schema, shape)}`);
  }

  #onlyIn(schema: SchemaName): Listing<ReportedRow> {
    const shape = this.#shape(schema);
    if (shape === null) return { count: 0, rows: [] };
    const other = schema === "main" ? "winning" : "main";
    const otherShape = this.#shape(other);
    const missing =
      otherShape === null
        ? ""
        : ` WHERE NOT EXISTS (SELECT 1 FROM ${table(other, otherShape)} AS y WHERE ${this.#sameKey("y", "x")})`;
    const from = `FROM ${scanned(schema, shape)}${missing}`;
    const columns = [...this.#keyOf("x"), ...this.#values.map((name) => columnOf(shape, "x", name))];
    const rows = this.#list(columns, from, this.#order("x"), (row) => this.#reported(row, 1));
    return { count: this.#countUnlessAll(rows, `SELECT count(*) ${from}`), rows };
  }

  #changed(): Listing<ChangedRow> {
    const { lost, winning } = this.#pair;
    if (lost === null || winning === null) return { count: 0, rows: [] };
    // A collation may take two keys for one that are not the same text.
    const names = [...(this.#key.kind === "primary key" ? this.#key.columns : []), ...this.#values];
    const left = names.map((name) => columnOf(lost, "x", name));
    const right = names.map((name) => columnOf(winning, "y", name));
    const differences = names.map((_, index) => differs(left[index] ?? "", right[index] ?? ""));
    // CROSS JOIN keeps SQLite from exchanging the two: the second one is looked up by its key.
    const joined = `${scanned("main", lost)} CROSS JOIN ${table("winning", winning)} AS y ON ${this.#sameKey("y", "x")}`;
    const from = `FROM ${joined} WHERE ${anyOf(differences)}`;
    const columns = [...this.#keyOf("x"), ...left, ...right];
    const rows = this.#list(columns, from, this.#order("x"), (row) => this.#changedRow(row, names));
    return { count: this.#countUnlessAll(rows, `SELECT count(*) ${from}`), rows };
  }

  /** Equal rows of both copies cancel each other out; what is left has only one of them. */
  #surplus(schema: SchemaName): Listing<ReportedRow> {
    const sign = schema === "main" ? 1 : -1;
    const [lost, winning] = [this.#pair.lost, this.#pair.winning];
    const halves = [
      ...(lost === null ? [] : [this.#half("main", lost, sign)]),
      ...(winning === null ? [] : [this.#half("winning", winning, -sign)]),
    ];
    const columns = this.#values.map((_, index) => `c${index}`);
    const groups = columns.flatMap((column) => [`typeof(${column})`, `${column} COLLATE BINARY`]).join(", ");
    const from = `FROM (${halves.join(" UNION ALL ")}) GROUP BY ${groups} HAVING sum(d) > 0`;
    const rows = this.#list([...columns, "sum(d)"], from, groups, (row) => this.#reported(row, Number(row.at(-1))));
    const count =
      rows.length < this.#limit
        ? rows.reduce((sum, { copies }) => sum + copies, 0)
        : this.#count(`SELECT coalesce(sum(n), 0) FROM (SELECT sum(d) AS n ${from})`);
    return { count, rows };
  }

  #half(schema: SchemaName, shape: TableShape, weight: number): string {
    const columns = this.#values.map((name, index) => `${columnOf(shape, "x", name)} AS c${index}`);
    return `SELECT ${[...columns, `${weight} AS d`].join(", ")} FROM ${scanned(schema, shape)}`;
  }

  #list<T>(columns: readonly string[], from: string, order: string, report: (row: readonly SqliteValue[]) => T): T[] {
    const sql = `SELECT ${columns.join(", ")} ${from} ORDER BY ${order} LIMIT ${this.#limit}`;
    const statement = this.#database.prepare<[], readonly SqliteValue[]>(sql).raw();
    return Array.from(statement.iterate(), report);
  }

  #countUnlessAll(rows: readonly unknown[], sql: string): number {
    return rows.length < this.#limit ? rows.length : this.#count(sql);
  }

  #count(sql: string): number {
    return Number(this.#database.prepare<[], bigint>(sql).pluck().get());
  }

  #shape(schema: SchemaName): TableShape | null {
    return schema === "main" ? this.#pair.lost : this.#pair.winning;
  }

  #keyOf(alias: string): string[] {
    return this.#key.columns.map((name) => `${alias}.${quoted(name)}`);
  }

  #sameKey(left: string, right: string): string {
    return this.#key.columns.map((name) => `${left}.${quoted(name)} = ${right}.${quoted(name)}`).join(" AND ");
  }

  /** The plus keeps SQLite from reading a whole table in the order of an index, for the sake of the few rows that differ. */
  #order(alias: string): string {
    const plus = this.#key.inTableOrder ? "" : "+";
    return this.#keyOf(alias)
      .map((column) => plus + column)
      .join(", ");
  }

  #reported(row: readonly SqliteValue[], copies: number): ReportedRow {
    const length = this.#key.columns.length;
    return { key: named(this.#key.columns, row, 0), values: named(this.#values, row, length), copies };
  }

  #changedRow(row: readonly SqliteValue[], names: readonly string[]): ChangedRow {
    const length = this.#key.columns.length;
    const pairs = names.map((column, index) => {
      const [lost = null, winning = null] = [row[length + index], row[length + names.length + index]];
      return { column, lost, winning };
    });
    const different = pairs.filter(({ lost, winning }) => !sameValue(lost, winning));
    // Bytes that are no UTF-8 all read as one character: then it is one of the texts.
    const shown = different.length > 0 ? different : pairs.filter(({ lost }) => typeof lost === "string");
    return {
      key: named(this.#key.columns, row, 0),
      changes: shown.map(({ column, lost, winning }) => ({
        column,
        lost: reportedValue(lost),
        winning: reportedValue(winning),
      })),
    };
  }
}

function table(schema: SchemaName, { name }: TableShape): string {
  return `${schema}.${quoted(name)}`;
}

/** Not by an index that happens to hold all that is asked for: its collation may be the application's, or it may be damaged. */
function scanned(schema: SchemaName, shape: TableShape): string {
  return `${table(schema, shape)} AS x NOT INDEXED`;
}

/** A column that this copy does not have counts as NULL. */
function columnOf({ columns }: TableShape, alias: string, name: string): string {
  return columns.some((column) => foldName(column) === foldName(name)) ? `${alias}.${quoted(name)}` : "NULL";
}

function differs(left: string, right: string): string {
  return `typeof(${left}) <> typeof(${right}) OR ${left} IS NOT ${right} COLLATE BINARY`;
}

function named(columns: readonly string[], row: readonly SqliteValue[], from: number): NamedValue[] {
  return columns.map((column, index) => ({ column, value: reportedValue(row[from + index] ?? null) }));
}

/** The tables of a database and how their rows can be told apart. */
import type { Database } from "better-sqlite3";

/** The two databases on one connection. */
export type SchemaName = "main" | "winning";

export interface TableShape {
  readonly name: string;
  /** `shadow`: where a virtual table keeps its rows. */
  readonly kind: "table" | "virtual" | "shadow";
  readonly hasRowid: boolean;
  /** Without generated ones. */
  readonly columns: readonly string[];
  readonly generatedColumns: readonly string[];
  /** The primary key in its order; empty when there is none. */
  readonly primaryKey: readonly KeyColumn[];
  /** Whether the primary key is the rowid under another name. */
  readonly keyIsRowid: boolean;
}

export interface KeyColumn {
  readonly name: string;
  readonly type: string;
  readonly collation: string;
  readonly notNull: boolean;
}

interface ColumnRow {
  name: string;
  type: string;
  notnull: bigint;
  pk: bigint;
  hidden: bigint;
}

/** The value of `hidden` in table_xinfo for generated columns: virtual and stored. */
const GENERATED: readonly bigint[] = [2n, 3n];

/** SQLite's names differ in ASCII letters' case only when they are different names. */
export function foldName(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** By folded name, in the order of these; without SQLite's own tables, whose rows follow from the others or are statistics. */
export function tableShapes(database: Database, schema: SchemaName): Map<string, TableShape> {
  const tables = database
    .prepare<[string], { name: string; type: string; wr: bigint }>(
      "SELECT name, type, wr FROM pragma_table_list WHERE schema = ? AND type <> 'view' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .all(schema);
  const shapes = tables.map((table) => tableShape(database, schema, table));
  return new Map(shapes.map((shape) => [foldName(shape.name), shape] as const).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function tableShape(
  database: Database,
  schema: SchemaName,
  { name, type, wr }: { name: string; type: string; wr: bigint },
): TableShape {
  const all = database
    .prepare<[string, string], ColumnRow>('SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?, ?)')
    .all(name, schema);
  const inKey = all.filter(({ pk }) => pk > 0n).sort((a, b) => Number(a.pk - b.pk));
  const collations = keyCollations(database, schema, name);
  return {
    name,
    kind: type === "virtual" || type === "shadow" ? type : "table",
    hasRowid: wr === 0n,
    columns: all.filter(({ hidden }) => !GENERATED.includes(hidden)).map((column) => column.name),
    generatedColumns: all.filter(({ hidden }) => GENERATED.includes(hidden)).map((column) => column.name),
    primaryKey: inKey.map((column, index) => ({
      name: column.name,
      type: column.type,
      collation: collations?.[index] ?? "BINARY",
      notNull: wr !== 0n || column.notnull !== 0n,
    })),
    keyIsRowid: inKey.length === 1 && collations === null,
  };
}

/** Null when the primary key has no index: there is none, or it is the rowid. */
function keyCollations(database: Database, schema: SchemaName, table: string): string[] | null {
  const index = database
    .prepare<[string, string], string>("SELECT name FROM pragma_index_list(?, ?) WHERE origin = 'pk'")
    .pluck()
    .get(table, schema);
  if (index === undefined) return null;
  return database
    .prepare<[string, string], string>("SELECT coll FROM pragma_index_xinfo(?, ?) WHERE key = 1 ORDER BY seqno")
    .pluck()
    .all(index, schema);
}

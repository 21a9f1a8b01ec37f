/** By what a row of one copy is looked for in the other. */
import type { Database } from "better-sqlite3";
import type { KeyKind } from "./divergence-report.ts";
import { quoted } from "./sql-text.ts";
import { foldName, type KeyColumn, type SchemaName, type TableShape } from "./table-shape.ts";

export interface RowKey {
  readonly kind: KeyKind;
  /** Names that both copies understand; empty for `whole row`. */
  readonly columns: readonly string[];
  /** Whether a scan of the table comes in the order of the key. */
  readonly inTableOrder: boolean;
}

const WHOLE_ROW: RowKey = { kind: "whole row", columns: [], inTableOrder: false };
/** SQLite's own; pragma_collation_list also has those that a schema only mentions. */
const COLLATIONS = ["binary", "nocase", "rtrim"];
const ROWID_NAMES = ["rowid", "_rowid_", "oid"];

/** The same table in one or both copies. */
export type Sides = readonly { readonly schema: SchemaName; readonly shape: TableShape }[];

/**
 * The primary key, where both copies have the same one and it tells all rows apart; else the rowid, unless columns took
 * all of its names; else nothing.
 */
export function rowKey(database: Database, sides: Sides): RowKey {
  const [first, ...others] = sides.map(({ shape }) => shape);
  if (first === undefined) return WHOLE_ROW;
  const same = others.every((other) => signature(other) === signature(first));
  if (same && first.primaryKey.length > 0 && isUsable(database, first, sides)) {
    const inTableOrder = first.keyIsRowid || !first.hasRowid;
    return { kind: "primary key", columns: first.primaryKey.map(({ name }) => name), inTableOrder };
  }
  const taken = new Set(sides.flatMap(({ shape }) => [...shape.columns, ...shape.generatedColumns].map(foldName)));
  const rowid = ROWID_NAMES.find((name) => !taken.has(name));
  if (rowid === undefined || sides.some(({ shape }) => !shape.hasRowid)) return WHOLE_ROW;
  return { kind: "rowid", columns: [rowid], inTableOrder: true };
}

function signature({ primaryKey, keyIsRowid }: TableShape): string {
  const columns = primaryKey.map(({ name, type, collation }) => [foldName(name), foldName(type), foldName(collation)]);
  return JSON.stringify([keyIsRowid, columns]);
}

function isUsable(database: Database, { primaryKey, keyIsRowid }: TableShape, sides: Sides): boolean {
  if (keyIsRowid) return true;
  if (primaryKey.some(({ collation }) => !COLLATIONS.includes(foldName(collation)))) return false;
  return sides.every(({ schema, shape }) => !holdsNull(database, schema, shape.name, primaryKey));
}

/** SQLite lets NULL into a primary key, as often as you like, unless the table is WITHOUT ROWID. */
function holdsNull(database: Database, schema: SchemaName, table: string, key: readonly KeyColumn[]): boolean {
  const nullable = key.filter(({ notNull }) => !notNull).map(({ name }) => `${quoted(name)} IS NULL`);
  if (nullable.length === 0) return false;
  const sql = `SELECT 1 FROM ${schema}.${quoted(table)} WHERE ${nullable.join(" OR ")} LIMIT 1`;
  return database.prepare(sql).get() !== undefined;
}

import type { Database } from "better-sqlite3";
import type { SchemaDifference } from "./divergence-report.ts";
import { foldName, type SchemaName } from "./table-shape.ts";

interface SchemaObject {
  type: string;
  name: string;
  sql: string | null;
}

const TYPES = ["table", "index", "view", "trigger"];

/** @param shadows folded names of tables that belong to virtual ones: these say it for them. */
export function compareSchemas(database: Database, shadows: ReadonlySet<string>): SchemaDifference[] {
  const lost = objects(database, "main", shadows);
  const winning = objects(database, "winning", shadows);
  const differences = [...new Set([...lost.keys(), ...winning.keys()])].flatMap((key) => {
    const [a, b] = [lost.get(key), winning.get(key)];
    const { type, name } = a ?? b ?? { type: "", name: "" };
    const difference = { type, name, lost: a?.sql ?? null, winning: b?.sql ?? null };
    return difference.lost === difference.winning ? [] : [difference];
  });
  return differences.sort(
    (a, b) => TYPES.indexOf(a.type) - TYPES.indexOf(b.type) || (foldName(a.name) < foldName(b.name) ? -1 : 1),
  );
}

/** Without SQLite's own, which have no statement or follow from others. */
function objects(database: Database, schema: SchemaName, shadows: ReadonlySet<string>): Map<string, SchemaObject> {
  const sql = `SELECT type, name, sql FROM ${schema}.sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'`;
  const rows = database.prepare<[], SchemaObject>(sql).all();
  const own = rows.filter(({ name }) => !shadows.has(foldName(name)));
  return new Map(own.map((row) => [`${row.type} ${foldName(row.name)}`, row]));
}

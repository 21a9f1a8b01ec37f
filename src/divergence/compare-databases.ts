/**
 * Says what one copy of a database has and another does not, for a person who must decide what to do about it.
 *
 * Each copy is read as it was at one moment, with its WAL, and through SQLite alone; neither is changed, and a fence does
 * not matter. A copy in WAL mode needs its directory to be writable, as it does for every reader. Memory is bounded by
 * what is listed, however large the copies are.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import SqliteDatabase, { type Database } from "better-sqlite3";
import { DatabaseError } from "../sqlite/database-error.ts";
import { sqliteFault } from "../sqlite/sqlite-fault.ts";
import { RowComparison, type TablePair } from "./compare-rows.ts";
import { compareSchemas } from "./compare-schemas.ts";
import { type DivergenceReport, type NotCompared, REPORT_VERSION, type TableDifference } from "./divergence-report.ts";
import { foldName, type TableShape, tableShapes } from "./table-shape.ts";

const ROWS_LISTED = 100;

export interface CompareOptions {
  /** How many rows each of a table's three lists has at most; 100 when not given. All are counted. */
  readonly rowsListed?: number;
  /** Called once both copies are read as they were at that moment, whatever is written to them from then on. */
  readonly onBegun?: () => void;
}

/**
 * Synchronous, and takes as long as reading both files: a daemon leaves it to a process of its own.
 * @throws DatabaseError DATABASE_MISSING, DATABASE_NOT_SQLITE, DATABASE_BUSY, DATABASE_UNREADABLE. A table that cannot be
 *   read is not thrown, but in the report.
 */
export function compareDatabases(
  lostPath: string,
  winningPath: string,
  options: CompareOptions = {},
): DivergenceReport {
  const [lost, winning] = [resolve(lostPath), resolve(winningPath)];
  for (const path of [lost, winning]) {
    if (!existsSync(path)) throw new DatabaseError("DATABASE_MISSING", "there is no such database", { path });
  }
  const database = step(lost, () => new SqliteDatabase(lost, { readonly: true }));
  try {
    database.defaultSafeIntegers(true);
    // A file is read when it is first asked for, not when it is opened.
    step(lost, () => database.exec("SELECT 1 FROM sqlite_schema"));
    step(winning, () => {
      database.prepare("ATTACH ? AS winning").run(winning);
      database.exec("BEGIN; SELECT 1 FROM winning.sqlite_schema");
    });
    step(lost, () => database.exec("SELECT 1 FROM main.sqlite_schema"));
    options.onBegun?.();
    return step(lost, () => new Comparison(database, lost, winning, options.rowsListed ?? ROWS_LISTED).run());
  } finally {
    database.close();
  }
}

function step<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw sqliteFault(path, "compare the databases", error);
  }
}

class Comparison {
  readonly #database: Database;
  readonly #paths: { readonly lost: string; readonly winning: string };
  readonly #limit: number;
  readonly #tables: TableDifference[] = [];
  readonly #equalTables: string[] = [];
  readonly #notCompared: NotCompared[] = [];

  constructor(database: Database, lost: string, winning: string, limit: number) {
    this.#database = database;
    this.#paths = { lost, winning };
    this.#limit = limit;
  }

  run(): DivergenceReport {
    const lost = tableShapes(this.#database, "main");
    const winning = tableShapes(this.#database, "winning");
    const names = [...new Set([...lost.keys(), ...winning.keys()])].sort();
    const pairs = names.map((name) => ({ lost: lost.get(name) ?? null, winning: winning.get(name) ?? null }));
    const shadows = pairs.filter(isShadow);
    for (const pair of pairs.filter((each) => !isShadow(each))) this.#compare(pair, shadows);
    const schema = compareSchemas(this.#database, new Set(shadows.map((pair) => foldName(nameOf(pair)))));
    const equal = schema.length === 0 && this.#tables.length === 0 && this.#notCompared.every((each) => each.equal);
    return {
      version: REPORT_VERSION,
      ...this.#paths,
      equal,
      schema,
      tables: this.#tables,
      equalTables: this.#equalTables,
      notCompared: this.#notCompared,
    };
  }

  #compare(pair: TablePair, shadows: readonly TablePair[]): void {
    const name = nameOf(pair);
    try {
      if (kindsOf(pair).includes("virtual")) {
        const own = shadows.filter((shadow) => owns(name, nameOf(shadow)));
        this.#notCompared.push(this.#virtual(name, own));
        return;
      }
      const difference = new RowComparison(this.#database, pair, this.#limit).run();
      if (hasRows(difference)) this.#tables.push(difference);
      else if (pair.lost !== null && pair.winning !== null) this.#equalTables.push(name);
    } catch (error) {
      if (!(error instanceof SqliteDatabase.SqliteError)) throw error;
      // Of a damaged disk, or with a collation that only the application has; the other tables are worth their report.
      this.#notCompared.push({ name, reason: `it cannot be read: ${error.message}`, equal: false });
    }
  }

  /** Rows of a virtual table are what its module makes of its own tables, which are compared as they are. */
  #virtual(name: string, own: readonly TablePair[]): NotCompared {
    if (own.length === 0) return { name, reason: "it is a virtual table whose rows are elsewhere", equal: false };
    const different = own.filter((pair) => {
      const difference = new RowComparison(this.#database, pair, 0).run();
      return hasRows(difference) || pair.lost === null || pair.winning === null;
    });
    if (different.length === 0) return { name, reason: "it is a virtual table; its own tables are equal", equal: true };
    const names = different.map(nameOf).join(", ");
    return { name, reason: `it is a virtual table; of its own tables ${names} differ`, equal: false };
  }
}

function nameOf({ lost, winning }: TablePair): string {
  return lost?.name ?? winning?.name ?? "";
}

function kindsOf({ lost, winning }: TablePair): (TableShape["kind"] | undefined)[] {
  return [lost?.kind, winning?.kind];
}

function isShadow(pair: TablePair): boolean {
  return kindsOf(pair).includes("shadow");
}

/** A virtual table's own tables are named after it. */
function owns(virtual: string, shadow: string): boolean {
  return foldName(shadow).startsWith(`${foldName(virtual)}_`);
}

function hasRows({ onlyInLost, onlyInWinning, changed }: TableDifference): boolean {
  return onlyInLost.count + onlyInWinning.count + changed.count > 0;
}

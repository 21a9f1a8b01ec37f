/** Two copies of a database, as a failover leaves them. */
import { join } from "node:path";
import Database from "better-sqlite3";
import { temporaryDirectory } from "../support/temporary-directory.ts";

export interface Copies {
  readonly lost: string;
  readonly winning: string;
}

export interface CopySql {
  /** What both have. */
  readonly both?: string;
  readonly lost?: string;
  readonly winning?: string;
}

export function copiesOf({ both = "", lost = "", winning = "" }: CopySql): Copies {
  const directory = temporaryDirectory();
  const make = (name: string, sql: string) => {
    const path = join(directory, name);
    const database = new Database(path);
    database.pragma("journal_mode = WAL");
    database.exec(both + sql);
    database.close();
    return path;
  };
  return { lost: make("lost.db", lost), winning: make("winning.db", winning) };
}

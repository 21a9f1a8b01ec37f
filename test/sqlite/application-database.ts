/** The database that the writer processes of the tests fill. */
import { join } from "node:path";
import Database from "better-sqlite3";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** Makes it in a directory that goes away with the test, and returns its path. */
export function createDatabase(pageSize = 4096): string {
  const path = join(temporaryDirectory(), "application.db");
  const db = new Database(path);
  db.pragma(`page_size = ${pageSize}`);
  db.pragma("auto_vacuum = INCREMENTAL");
  db.pragma("journal_mode = WAL");
  db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a BLOB, b TEXT); CREATE INDEX i ON t (b)");
  db.close();
  return path;
}

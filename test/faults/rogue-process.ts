/**
 * Does everything to a mirror that no one should: <path> <keep | reopen> <busy timeout ms>. Prints its figures as JSON when
 * it gets SIGTERM. `reopen` opens a new connection each time, so that it also is the last one that closes.
 */
import Sqlite from "better-sqlite3";
import type { RogueFigures } from "./child-fleet.ts";

const [path = "", manner = "keep", timeout = "0"] = process.argv.slice(2);
const figures: RogueFigures = { refused: 0, written: [], checkpoints: 0, errors: {} };
const WRITES = [
  "UPDATE account SET balance = balance + 1 WHERE id = 1",
  "UPDATE total SET revision = revision + 1000000",
  "DELETE FROM entry",
  "CREATE TABLE intruder (a)",
  "VACUUM",
  "BEGIN IMMEDIATE; INSERT INTO entry (body) VALUES (x'00'); COMMIT",
];
const MODES = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"];
let stopping = false;
process.on("SIGTERM", () => {
  stopping = true;
});

let database: Sqlite.Database | null = null;
process.stdout.write("at it\n");
turn();

function turn(): void {
  for (let i = 0; i < 30; i++) misbehave();
  if (!stopping) setImmediate(turn);
  else process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit());
}

function misbehave(): void {
  try {
    database ??= new Sqlite(path, { timeout: Number(timeout) });
    const what = Math.floor(Math.random() * 10);
    if (what < 6) write(database, WRITES[what] ?? "");
    else if (what < 9) checkpoint(database);
    else leaveWalMode(database);
  } catch (error) {
    const code = error instanceof Sqlite.SqliteError ? error.code : String(error);
    if (code.startsWith("SQLITE_READONLY")) figures.refused++;
    else figures.errors[code] = (figures.errors[code] ?? 0) + 1;
  }
  if (manner === "reopen" && Math.random() < 0.3) {
    database?.close();
    database = null;
  }
}

function write(connection: Sqlite.Database, sql: string): void {
  try {
    connection.exec(sql);
    figures.written.push(sql);
  } finally {
    // On a database known to be read-only SQLite makes a read transaction of BEGIN IMMEDIATE, which would stay open.
    if (connection.inTransaction) connection.exec("ROLLBACK");
  }
}

function checkpoint(connection: Sqlite.Database): void {
  connection.pragma(`wal_checkpoint(${MODES[Math.floor(Math.random() * MODES.length)]})`);
  figures.checkpoints++;
}

function leaveWalMode(connection: Sqlite.Database): void {
  const mode = connection.pragma("journal_mode = DELETE", { simple: true });
  if (mode !== "wal") figures.written.push(`journal_mode is ${String(mode)}`);
}

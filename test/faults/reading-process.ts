/**
 * Reads a mirror in a loop and checks that every state is one that the history had: <path> <busy timeout ms>. Prints its
 * figures as JSON when it gets SIGTERM.
 */
import Sqlite from "better-sqlite3";
import type { ReaderFigures } from "./child-fleet.ts";
import { INVARIANTS, REVISION } from "./mirror-history.ts";

const READS_PER_TURN = 10;
const READS_PER_INTEGRITY_CHECK = 150;

const [path = "", timeout = "0"] = process.argv.slice(2);
const figures: ReaderFigures = { reads: 0, wrong: [], states: 0, integrityChecks: 0, errors: {} };
let stopping = false;
process.on("SIGTERM", () => {
  stopping = true;
});

const database = new Sqlite(path, { readonly: true, timeout: Number(timeout) });
let lastRevision = -1;
process.stdout.write("reading\n");
turn();

function turn(): void {
  for (let i = 0; i < READS_PER_TURN; i++) read();
  if (!stopping) setImmediate(turn);
  else process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit());
}

function read(): void {
  try {
    database.exec("BEGIN");
    const revision = Number(database.prepare(REVISION).pluck().get());
    for (const sql of INVARIANTS)
      if (database.prepare(sql).pluck().get() !== 1) figures.wrong.push(`${revision}: ${sql}`);
    if (revision < lastRevision) figures.wrong.push(`revision ${revision} after ${lastRevision}`);
    if (Number(database.prepare(REVISION).pluck().get()) !== revision)
      figures.wrong.push("two states in one transaction");
    if (revision !== lastRevision) figures.states++;
    lastRevision = revision;
    if (figures.reads % READS_PER_INTEGRITY_CHECK === 0) checkIntegrity();
    figures.reads++;
  } catch (error) {
    const code = error instanceof Sqlite.SqliteError ? error.code : String(error);
    figures.errors[code] = (figures.errors[code] ?? 0) + 1;
    if (!/^SQLITE_(BUSY|PROTOCOL)/.test(code)) figures.wrong.push(String(error));
  } finally {
    if (database.inTransaction) database.exec("ROLLBACK");
  }
}

function checkIntegrity(): void {
  figures.integrityChecks++;
  const found = database.pragma("integrity_check", { simple: true });
  if (found !== "ok") figures.wrong.push(`integrity_check: ${String(found)}`);
}

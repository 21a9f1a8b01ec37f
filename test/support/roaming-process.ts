/**
 * Process: an application whose member may hand over. Arguments: its own name, pause between commits in ms, the paths of all
 * members' databases. It inserts rows (name, 1), (name, 2), ... one commit each, wherever it may write; when it may not, it
 * opens the next one, until somewhere it may again. SIGTERM makes it print how many rows it has committed, and for how
 * long it could not whenever it moved.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";

const RETRY_MS = 5;
/** What the fence, a mirror, or a member that has none yet answers. */
const ELSEWHERE = /^SQLITE_(READONLY|BUSY|CANTOPEN|ERROR|LOCKED)/;

const [name = "", pauseText = "", ...paths] = process.argv.slice(2);
let at = 0;
let db: Database.Database | undefined;
let committed = 0;
let refusedAtMs: number | null = null;
const interruptionsMs: number[] = [];
let stopping = false;
process.on("SIGTERM", () => {
  stopping = true;
});

function commit(): boolean {
  try {
    db ??= new Database(paths[at % paths.length] ?? "", { fileMustExist: true, timeout: 0 });
    const payload = randomBytes(100 + ((committed * 37) % 900));
    db.prepare("INSERT INTO entry (writer, number, payload) VALUES (?, ?, ?)").run(name, committed + 1, payload);
    return true;
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !ELSEWHERE.test(error.code)) throw error;
    if (error.code.startsWith("SQLITE_BUSY")) return false;
    close();
    at++;
    return false;
  }
}

function close(): void {
  db?.close();
  db = undefined;
}

while (!stopping) {
  if (commit()) {
    committed++;
    if (refusedAtMs !== null) interruptionsMs.push(Math.round(performance.now() - refusedAtMs));
    refusedAtMs = null;
    await sleep(Number(pauseText));
  } else {
    if (db === undefined) refusedAtMs ??= performance.now();
    await sleep(RETRY_MS);
  }
}
close();
console.log(JSON.stringify({ committed, interruptionsMs }));

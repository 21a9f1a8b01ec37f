/**
 * Process: as entry-writer.ts, through the SQLite library that comes with Node, with its default settings. Arguments: database,
 * its own name, pause between commits in ms.
 */
import { randomBytes } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";

const SQLITE_BUSY = 5;

const [path = "", name = "", pauseText = ""] = process.argv.slice(2);
const db = new DatabaseSync(path, { timeout: 5_000 });
const insert = db.prepare("INSERT INTO entry (writer, number, payload) VALUES (?, ?, ?)");
let committed = 0;
let stopping = false;
process.on("SIGTERM", () => {
  stopping = true;
});

/** Returns how many rows were committed: none when another writer was in the way for too long. */
function commit(rows: number): number {
  try {
    db.exec("BEGIN IMMEDIATE");
  } catch (error) {
    if (error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY) return 0;
    throw error;
  }
  for (let row = 1; row <= rows; row++) insert.run(name, committed + row, randomBytes(100 + ((committed * 41) % 900)));
  db.exec("COMMIT");
  return rows;
}

while (!stopping) {
  committed += commit(committed % 211 === 210 ? 300 : 1);
  await sleep(Number(pauseText));
}
const version = db.prepare("SELECT sqlite_version() AS version").get()?.version;
db.close();
console.log(JSON.stringify({ committed, version }));

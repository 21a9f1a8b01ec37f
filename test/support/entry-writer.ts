/**
 * Process: a writer through better-sqlite3 with default settings. Arguments: database, its own name, pause between commits in ms.
 * It inserts rows (name, 1), (name, 2), ... one commit each, and a bigger transaction now and then; SIGTERM makes it print how
 * many rows it has committed.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";

const [path = "", name = "", pauseText = ""] = process.argv.slice(2);
const db = new Database(path);
const insert = db.prepare("INSERT INTO entry (writer, number, payload) VALUES (?, ?, ?)");
const touch = db.prepare("UPDATE entry SET payload = ? WHERE writer = ? AND number = ?");
let committed = 0;
let stopping = false;
process.on("SIGTERM", () => {
  stopping = true;
});

const add = db.transaction((rows: number) => {
  for (let row = 1; row <= rows; row++) insert.run(name, committed + row, randomBytes(100 + ((committed * 37) % 900)));
  touch.run(randomBytes(300), name, Math.max(1, committed - 50));
});

function commit(rows: number): void {
  try {
    add.immediate(rows);
    committed += rows;
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || error.code !== "SQLITE_BUSY") throw error;
  }
}

while (!stopping) {
  commit(committed % 211 === 210 ? 300 : 1);
  await sleep(Number(pauseText));
}
db.close();
console.log(JSON.stringify({ committed }));

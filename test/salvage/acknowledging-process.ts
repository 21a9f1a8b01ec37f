/**
 * Process: a writer through better-sqlite3 with default settings. Arguments: database, its own name, pause between commits in ms.
 * It inserts rows (name, 1), (name, 2), ... one commit each, and a bigger transaction now and then, and prints the number of rows
 * as soon as a commit has succeeded: what was printed must never be lost.
 */
import { randomBytes } from "node:crypto";
import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";

const [path = "", name = "", pauseText = ""] = process.argv.slice(2);
const db = new Database(path, { timeout: 5_000 });
const insert = db.prepare("INSERT INTO entry (writer, number, payload) VALUES (?, ?, ?)");
const touch = db.prepare("UPDATE entry SET payload = ? WHERE writer = ? AND number = ?");
const add = db.transaction((first: number, rows: number) => {
  for (let row = 0; row < rows; row++) insert.run(name, first + row, randomBytes(100 + ((first * 37) % 900)));
  touch.run(randomBytes(300), name, Math.max(1, first - 50));
});

for (let committed = 0; ; ) {
  const rows = committed % 211 === 210 ? 300 : 1;
  add.immediate(committed + 1, rows);
  committed += rows;
  writeSync(1, `${committed}\n`);
  if (Number(pauseText) > 0) await sleep(Number(pauseText));
}

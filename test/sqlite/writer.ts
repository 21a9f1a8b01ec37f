/**
 * Process: an application that writes through better-sqlite3 with default settings until it is disconnected or killed.
 * Arguments: database, seed, longest pause between transactions in ms. It sends how many transactions it has committed after each.
 */
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";

const [path = "", seedText = "1", pauseText = "2"] = process.argv.slice(2);
let seed = Number(seedText);
const db = new Database(path, { timeout: 20_000 });
const insert = db.prepare("INSERT INTO t (a, b) VALUES (randomblob(?), hex(randomblob(8)))");
const update = db.prepare("UPDATE t SET a = randomblob(length(a)), b = hex(randomblob(8)) WHERE id % 13 = ?");
const trim = db.prepare("DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY id LIMIT ?)");
const count = db.prepare<[], number>("SELECT count(*) FROM t").pluck();
let running = true;
process.on("disconnect", () => {
  running = false;
});

/** A linear congruential generator: the history can be told from the seed. */
function below(limit: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * limit);
}

const transaction = db.transaction(() => {
  const choice = below(20);
  const rows = choice === 0 ? 120 : 1 + below(4);
  for (let row = 0; row < rows; row++) insert.run(below(2000));
  if (choice < 4) update.run(below(13));
  const surplus = (count.get() ?? 0) - 800;
  if (surplus > 0) trim.run(surplus + below(500));
});

for (let committed = 1; running; committed++) {
  transaction.immediate();
  if (below(500) === 0) db.pragma("incremental_vacuum(50)");
  // Whoever started it may be gone already.
  process.send?.(committed, () => {});
  // SQLite's busy handler sleeps up to 100 ms: without a pause one of several writers would have the lock all the time.
  await sleep(below(Number(pauseText) + 1));
}
db.close();

/**
 * An application whose every commit says when it was made. Arguments: database, commits, commits a second. The clock is
 * the system's monotonic one, which all processes of a machine share.
 */
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";

const [path = "", commits = "0", rate = "100"] = process.argv.slice(2);
const database = new Database(path, { timeout: 30_000 });
const insert = database.prepare("INSERT INTO mark (made) VALUES (?)");

const startMs = performance.now();
for (let i = 0; i < Number(commits); i++) {
  const dueMs = startMs + (i * 1000) / Number(rate);
  if (dueMs > performance.now()) await sleep(dueMs - performance.now());
  insert.run(process.hrtime.bigint());
}
database.close();

/**
 * Process: somebody else's wal_checkpoint(TRUNCATE) in a loop, until it is disconnected or killed. Argument: database.
 * It sends what each came to.
 */
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";

const [path = ""] = process.argv.slice(2);
const db = new Database(path, { timeout: 0 });
let running = true;
process.on("disconnect", () => {
  running = false;
});
while (running) {
  let busy: unknown = 1;
  try {
    busy = db.pragma("wal_checkpoint(TRUNCATE)", { simple: true });
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith("SQLITE_BUSY")) throw error;
  }
  process.send?.(busy, () => {});
  await sleep(3);
}
db.close();

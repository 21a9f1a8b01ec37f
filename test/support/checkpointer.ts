/** Process: calls `wal_checkpoint(MODE)` every so many ms until SIGTERM. Arguments: database, mode, pause in ms. */
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";

const [path = "", mode = "", pauseText = ""] = process.argv.slice(2);
const db = new Database(path, { timeout: 50 });
let stopping = false;
let completed = 0;
process.on("SIGTERM", () => {
  stopping = true;
});
while (!stopping) {
  try {
    if (db.pragma(`wal_checkpoint(${mode})`, { simple: true }) === 0) completed++;
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith("SQLITE_BUSY")) throw error;
  }
  await sleep(Number(pauseText));
}
db.close();
console.log(JSON.stringify({ completed }));

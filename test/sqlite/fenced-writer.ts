/** Commits one row after the other to <path>, whether it is fenced at times or not; prints how many were acknowledged. */
import { writeSync } from "node:fs";
import Sqlite from "better-sqlite3";

const [path = ""] = process.argv.slice(2);
let database = open();
let acknowledged = 0;
writeSync(1, "writing\n");
for (;;) {
  try {
    database.exec("INSERT INTO entry (body) VALUES ('live')");
    acknowledged++;
    writeSync(1, `${acknowledged}\n`);
  } catch {
    // A connection that has seen the fence stays read-only.
    database.close();
    database = open();
  }
}

function open(): Sqlite.Database {
  return new Sqlite(path, { timeout: 1000 });
}

/**
 * Takes a database's lock for what its arguments say, prints a line when it has it, and keeps it: `<state directory>
 * integration | batches | backup`. With `batches` one batch follows another without a pause, and the first is announced.
 */
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { DatabaseLock } from "../../src/backup/database-lock.ts";

const [state = "", kind = ""] = process.argv.slice(2);
const lock = DatabaseLock.open(state, "clinic");

if (kind === "backup") await lock.beginBackup({ waitMs: null });
else if (!lock.tryIntegrate()) throw new Error("a backup has the database");
console.log("held");

let waits = 0;
while (kind === "batches") {
  await turn();
  lock.freeDatabase();
  while (!lock.tryIntegrate()) {
    if (waits++ === 0) console.log("waits");
    await sleep(1);
  }
}
await new Promise(() => setInterval(() => undefined, 60_000));

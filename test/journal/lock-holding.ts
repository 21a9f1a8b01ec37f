/** A process that takes a lock, says so or with what code it failed, and holds it until it is killed. */
import { ProcessLock } from "../../src/journal/process-lock.ts";
import { StateError } from "../../src/journal/state-error.ts";

const [path = ""] = process.argv.slice(2);
try {
  ProcessLock.acquire(path, "afterimage run");
  process.stdout.write("locked\n");
  setInterval(() => undefined, 1000);
} catch (error) {
  process.stdout.write(`${error instanceof StateError ? error.code : error}\n`);
}

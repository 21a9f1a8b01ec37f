/** A process that opens a state database as `status` does and prints where a database stands. */
import { StateStore } from "../../src/journal/state-store.ts";
import { formatPosition } from "../../src/ltx/position.ts";

const [path = ""] = process.argv.slice(2);
using store = StateStore.openReadOnly(path);
const received = store.database("orders")?.received ?? null;
process.stdout.write(received === null ? "none" : formatPosition(received));

/** A process that writes a journal file and never commits it; it says so once part of it is on disk, and then goes on. */
import { join } from "node:path";
import { Journal } from "../../src/journal/journal.ts";
import { StateStore } from "../../src/journal/state-store.ts";
import { segmentRow } from "./segment-rows.ts";

const [directory = ""] = process.argv.slice(2);
const store = StateStore.open(join(directory, "state.db"), { mirror: "clinic", member: "lisbon" });
const writer = new Journal(join(directory, "journal"), store.catalogue).create(segmentRow(2, 2));
const bytes = new Uint8Array(64 * 1024);

while (writer.bytes < 2 * 1024 * 1024) writer.write(bytes);
process.stdout.write("writing\n");
setInterval(() => writer.write(bytes), 1);

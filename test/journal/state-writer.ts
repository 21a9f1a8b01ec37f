/** A process that commits one numbered transaction after another to a state database, and prints each number once it is committed. */
import { StateStore } from "../../src/journal/state-store.ts";
import { toTxid } from "../../src/ltx/position.ts";
import { segmentRow, stateAt } from "./segment-rows.ts";

const [path = ""] = process.argv.slice(2);
const store = StateStore.open(path, { mirror: "clinic", member: "lisbon" });

for (let n = 1; ; n++) {
  store.transaction(() => {
    store.chunkStore("orders").writeChunk(0, new Uint8Array(8192).fill(n % 251));
    store.addSegment(segmentRow(n, n));
    store.saveDatabase("orders", { received: { epoch: 1, txid: toTxid(BigInt(n)), checksum: stateAt(n) } });
  });
  process.stdout.write(`${n}\n`);
}

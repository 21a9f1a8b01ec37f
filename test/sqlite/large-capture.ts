/**
 * Process: captures one transaction of some hundred MiB and says what that cost. Arguments: database, MiB to write.
 * The writer is another process. It sends {commits, pages, different, grownBytes}.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { OperationalDatabase } from "../../src/sqlite/operational-database.ts";
import { PageChecksumTable } from "../../src/sqlite/page-checksum-table.ts";
import { diffBaseline } from "../../src/sqlite/page-difference.ts";
import { stageChecksums } from "../../src/sqlite/stage-checksums.ts";
import { MemoryChunkStore } from "./memory-chunk-store.ts";

const [path = "", mebibytes = ""] = process.argv.slice(2);
const table = new PageChecksumTable(new MemoryChunkStore());
const database = OperationalDatabase.open(path);
const baseline = database.baseline();
for (const _page of diffBaseline(baseline, table).pages());
database.adopt(baseline);
execFileSync("python3", [fileURLToPath(new URL("large-writer.py", import.meta.url)), path, mebibytes]);

const before = process.resourceUsage().maxRSS;
const change = database.capture({ maxBytes: 1 << 20 });
let pages = 0;
if (change !== null) {
  for (const _page of stageChecksums(table, change)) pages++;
  database.accept(change);
}
const grownBytes = (process.resourceUsage().maxRSS - before) * 1024;

const after = database.baseline();
const difference = diffBaseline(after, table);
for (const _page of difference.pages());
after.close();
process.send?.({ commits: change?.commits, pages, different: difference.changedPages, grownBytes });
database.close();

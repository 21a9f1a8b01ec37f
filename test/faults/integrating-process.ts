/**
 * Integrates a history into a mirror and kills itself at a named step: <directory> <step or -> <occurrence> <seed>.
 * Prints `checkpoint` and `checkpointed` around checkpoints, `killing` before it dies by itself, `done` at the history's end.
 */
import { existsSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { CHECKSUM_FLAG, formatChecksum, parseChecksum, toChecksum } from "../../src/ltx/position.ts";
import { MirrorDatabase } from "../../src/sqlite/mirror-database.ts";
import { PageChecksumTable } from "../../src/sqlite/page-checksum-table.ts";
import { parseClosedSignature, parseWalMark, type WalMark } from "../../src/sqlite/wal-mark.ts";
import { pageProblems } from "../support/page-problems.ts";
import { MirrorRecordStore, mergeChanges, type PendingIntent, readChange } from "./mirror-history.ts";

const CHECKPOINT_FRAMES = 120;
/** A few frames at a time, so that a commit is torn in its middle as well. */
const BUFFER_BYTES = 3 * 4200;

const [directory = "", step = "-", occurrence = "1", seed = "1"] = process.argv.slice(2);
const lastChange = readdirSync(join(directory, "changes")).length - 1;
const store = new MirrorRecordStore(directory);
const table = new PageChecksumTable(
  store,
  store.get("pageCount", 0),
  toChecksum(BigInt(store.get("checksum", CHECKSUM_FLAG.toString()))),
);
let left = Number(occurrence);
let random = Number(seed);

const path = join(directory, "mirror.db");
if (!existsSync(path) || store.get("sequence", -1) < 0) {
  const snapshot = readChange(directory, 0);
  const create = existsSync(path) ? MirrorDatabase.adopt : MirrorDatabase.create;
  await create(path, snapshot, { table, expectedChecksum: snapshot.checksum });
  record(0, snapshot.pageCount, null);
}
const intent = store.get<PendingIntent | null>("intent", null);
const mirror = await MirrorDatabase.open(path, {
  table,
  saved: parseWalMark(store.get("mark", null)),
  closed: parseClosedSignature(store.get("closed", null)),
  intent: intent === null ? null : { pageCount: intent.pageCount, checksum: parseChecksum(intent.checksum) },
  onStep: reached,
  bufferBytes: BUFFER_BYTES,
});
writeSync(1, `opened ${mirror.opened}\n`);
let repeat: number | null = null;
if (mirror.opened === "adopted" && intent !== null) {
  // An owner may take the commit as done, or apply the same pages once more: both must work.
  if (chance(2) === 0) record(intent.to, intent.pageCount, mirror.mark);
  else {
    table.discard();
    repeat = intent.to;
  }
}
for (let sequence = store.get("sequence", 0); sequence < lastChange; sequence = store.get("sequence", 0)) {
  const to = repeat ?? Math.min(lastChange, sequence + 1 + chance(3));
  repeat = null;
  await integrate(sequence + 1, to);
  if (mirror.walFrames >= CHECKPOINT_FRAMES) shorten();
}
const problems = await pageProblems(mirror, table);
if (problems.length > 0) throw new Error(problems.join("; "));
store.set("closed", await mirror.close());
writeSync(1, "done\n");

async function integrate(from: number, to: number): Promise<void> {
  const run = mergeChanges(Array.from({ length: to - from + 1 }, (_, i) => readChange(directory, from + i)));
  store.set("intent", { to, pageCount: run.pageCount, checksum: formatChecksum(run.checksum) });
  reached("intended");
  const mark = await mirror.integrate(run, { expectedChecksum: run.checksum });
  reached("integrated");
  record(to, run.pageCount, mark);
  mirror.checkForeignChange();
}

function record(sequence: number, pageCount: number, mark: WalMark | null): void {
  store.transaction(() => {
    table.flush();
    store.set("sequence", sequence);
    store.set("pageCount", pageCount);
    store.set("checksum", table.checksum.toString());
    store.set("mark", mark);
    store.set("intent", null);
  });
  table.settle();
}

function shorten(): void {
  writeSync(1, "checkpoint\n");
  mirror.checkpoint();
  writeSync(1, "checkpointed\n");
}

function reached(name: string): void {
  if (name !== step) return;
  left--;
  if (left > 0) return;
  writeSync(1, "killing\n");
  process.kill(process.pid, "SIGKILL");
  for (;;);
}

/** 0 to `choices` - 1. */
function chance(choices: number): number {
  random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
  return (random >>> 16) % choices;
}

/**
 * Process: follows a database and keeps its pages in a copy and its position in a file, as the operational member keeps
 * journal and state; made to be killed at any moment. Arguments: database, copy, state file.
 *
 * A start that is said to continue is put to the test at once: the copy, caught up to a baseline, must equal it. It
 * sends "continued" or "gap" then, "wrong" if it does not, and "turn" after each turn.
 */
import {
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError } from "../../src/sqlite/database-error.ts";
import { OperationalDatabase } from "../../src/sqlite/operational-database.ts";
import type { PageRun } from "../../src/sqlite/page-run.ts";
import type { WalPosition } from "../../src/sqlite/wal-format.ts";

const [path = "", copyPath = "", statePath = ""] = process.argv.slice(2);
const saved = existsSync(statePath) ? (JSON.parse(readFileSync(statePath, "utf8")) as WalPosition) : null;
const database = OperationalDatabase.open(path, { saved });
const copy = openSync(copyPath, existsSync(copyPath) ? "r+" : "w+");
process.on("disconnect", () => process.exit(0));

function store(run: PageRun): void {
  for (const { pgno, data } of run.pages()) writeSync(copy, data, 0, data.length, (pgno - 1) * run.pageSize);
  ftruncateSync(copy, run.pageCount * run.pageSize);
}

/** Without fsync: a kill, unlike a power cut, loses nothing that was written. */
function save(position: WalPosition): void {
  writeFileSync(`${statePath}.part`, JSON.stringify(position));
  renameSync(`${statePath}.part`, statePath);
}

function drain(until?: WalPosition): void {
  for (;;) {
    const change = database.capture({ maxBytes: 200_000, ...(until === undefined ? {} : { until }) });
    if (change === null) return;
    store(change);
    save(change.to);
    database.accept(change);
  }
}

function resync(): void {
  const baseline = database.baseline();
  store(baseline);
  save(baseline.position);
  database.adopt(baseline);
}

function isRight(): boolean {
  const baseline = database.baseline();
  try {
    drain(baseline.position);
  } catch (error) {
    baseline.close();
    throw error;
  }
  const held = Buffer.alloc(baseline.pageSize);
  let right = true;
  for (const { pgno, data } of baseline.pages()) {
    readSync(copy, held, 0, held.length, (pgno - 1) * held.length);
    if (!held.equals(data)) right = false;
  }
  baseline.close();
  return right;
}

/** A start that continues may still meet a gap: the pin cannot keep frames that a checkpoint had copied before it. */
function orResync<T>(follow: () => T): T | "gap" {
  try {
    return follow();
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.code !== "WAL_GAP") throw error;
    resync();
    return "gap";
  }
}

if (database.resumed.kind === "gap") resync();
const outcome = orResync(() => (isRight() ? database.resumed.kind : "wrong"));
process.send?.(outcome, () => {});
for (;;) {
  orResync(drain);
  // A restart after a checkpoint that is done is a gap as soon as somebody commits, so there is one now and then only.
  if (database.position.frame > 300) await database.checkpoint(async () => void orResync(drain));
  process.send?.("turn", () => {});
  await sleep(1);
}

/**
 * A reader that looks a thousand times a second what has become visible. Arguments: database, commits to wait for, commits
 * that do not count because everything is still warming up. Prints one JSON line: how long commits took to become visible,
 * in milliseconds; or, when nothing comes for a while, how many never came.
 */
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { percentile } from "./statistics.ts";

export interface LagFigures {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Commits that were not seen. */
  readonly missing: number;
}

interface Mark {
  readonly id: bigint;
  readonly made: bigint;
}

const SILENCE_MS = 20_000;
/** A follower that writes into the file may turn it from WAL mode, which an open connection does not notice. */
const REOPEN_MS = 1_000;

const [path = "", commits = "0", uncounted = "0"] = process.argv.slice(2);
const last = BigInt(commits);
const lagsMs: number[] = [];
let database = open();
let seen = 0n;
let seenAtMs = performance.now();
let openedAtMs = seenAtMs;
while (seen < last && performance.now() - seenAtMs < SILENCE_MS) {
  for (const { id, made } of look()) {
    if (id > BigInt(uncounted)) lagsMs.push(Number(process.hrtime.bigint() - made) / 1e6);
    seen = id;
    seenAtMs = performance.now();
  }
  if (performance.now() - Math.max(seenAtMs, openedAtMs) > REOPEN_MS) reopen();
  await sleep(1);
}
database.close();

lagsMs.sort((a, b) => a - b);
const figures: LagFigures = {
  p50: percentile(lagsMs, 0.5),
  p99: percentile(lagsMs, 0.99),
  max: lagsMs.at(-1) ?? Number.NaN,
  missing: Number(last - seen),
};
console.log(JSON.stringify(figures));

function open(): Database.Database {
  return new Database(path, { readonly: true, timeout: 5_000 });
}

function reopen(): void {
  database.close();
  database = open();
  openedAtMs = performance.now();
}

/** A follower that writes into the file under its readers makes reads fail now and then: they are tried again. */
function look(): Mark[] {
  try {
    const marks = database.prepare<[bigint], Mark>("SELECT id, made FROM mark WHERE id > ? ORDER BY id");
    return marks.safeIntegers().all(seen);
  } catch {
    reopen();
    return [];
  }
}

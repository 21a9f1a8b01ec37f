/**
 * An application that commits and measures each commit. Arguments: database, seconds, commits a second (0 for as many as it
 * can), MiB that a commit writes (0 for a few rows). Prints one JSON line.
 */
import { statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { percentile } from "./statistics.ts";

export interface WriterFigures {
  /** Latencies are in milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** Commits that took longer than 50 ms. */
  readonly stalls: number;
  readonly perSecond: number;
  /** The most that the WAL took, in MiB. */
  readonly walMiB: number;
}

const STALL_MS = 50;
const MIB = 1024 * 1024;

const [path = "", seconds = "5", rate = "0", size = "0"] = process.argv.slice(2);
const database = new Database(path, { timeout: 30_000 });
const commit = database.transaction(size === "0" ? commitRows() : commitFiles(Number(size)));

const intervalMs = Number(rate) === 0 ? 0 : 1000 / Number(rate);
const latencies: number[] = [];
const startMs = performance.now();
const endMs = startMs + Number(seconds) * 1000;
for (let i = 0; performance.now() < endMs; i++) {
  const dueMs = startMs + i * intervalMs;
  if (dueMs > performance.now() + 1) await sleep(dueMs - performance.now());
  const beganMs = performance.now();
  commit(i);
  latencies.push(performance.now() - beganMs);
}
const tookSeconds = (performance.now() - startMs) / 1000;
// A WAL is restarted, and never made shorter, while it is open: its size at the end is the largest that it had.
const walMiB = statSync(`${path}-wal`).size / MIB;
database.close();

latencies.sort((a, b) => a - b);
const figures: WriterFigures = {
  p50: percentile(latencies, 0.5),
  p99: percentile(latencies, 0.99),
  p999: percentile(latencies, 0.999),
  max: latencies.at(-1) ?? Number.NaN,
  stalls: latencies.filter((latencyMs) => latencyMs > STALL_MS).length,
  perSecond: latencies.length / tookSeconds,
  walMiB,
};
console.log(JSON.stringify(figures));

function commitRows(): (i: number) => void {
  const insert = database.prepare("INSERT INTO entry (note, amount) VALUES (?, ?)");
  const update = database.prepare("UPDATE account SET balance = balance + ? WHERE id = ?");
  return (i) => {
    insert.run(`entry number ${i}`, i);
    update.run(i, i % 100);
  };
}

/** Replaces files of one MiB, of which every second byte is random. */
function commitFiles(count: number): (i: number) => void {
  const replace = database.prepare("INSERT OR REPLACE INTO file (id, contents) VALUES (?, ?)");
  const contents = Buffer.alloc(MIB);
  for (let at = 0; at < MIB; at += 2) contents[at] = Math.random() * 256;
  return (i) => {
    for (let id = 0; id < count; id++) {
      contents.writeUInt32LE(i, 1 + 8 * id);
      replace.run(id, contents);
    }
  };
}

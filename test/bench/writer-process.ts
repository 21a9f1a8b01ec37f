/**
 * An application that commits small transactions and measures each commit. Arguments: database, seconds, commits a second (0
 * for as many as it can). Prints one JSON line: latencies in milliseconds, commits a second, the WAL's largest size.
 */
import { statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { percentile } from "./statistics.ts";

export interface WriterFigures {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  readonly perSecond: number;
  /** The most that the WAL took, in MiB. */
  readonly walMiB: number;
}

const [path = "", seconds = "5", rate = "0"] = process.argv.slice(2);
const database = new Database(path, { timeout: 30_000 });
const commit = database.transaction((i: number) => {
  database.prepare("INSERT INTO entry (note, amount) VALUES (?, ?)").run(`entry number ${i}`, i);
  database.prepare("UPDATE account SET balance = balance + ? WHERE id = ?").run(i, i % 100);
});

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
const walMiB = statSync(`${path}-wal`).size / (1024 * 1024);
database.close();

latencies.sort((a, b) => a - b);
const figures: WriterFigures = {
  p50: percentile(latencies, 0.5),
  p99: percentile(latencies, 0.99),
  p999: percentile(latencies, 0.999),
  max: latencies.at(-1) ?? Number.NaN,
  perSecond: latencies.length / tookSeconds,
  walMiB,
};
console.log(JSON.stringify(figures));

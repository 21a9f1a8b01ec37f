/**
 * An application that changes one row at a random place in each commit, and says when it was made; see lag-watch.ts.
 * Arguments: database, commits, commits a second, rows. Prints one JSON line of {@link RandomWriterFigures}.
 */
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { percentile } from "./statistics.ts";

/** Of commits, in milliseconds. */
export interface RandomWriterFigures {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const [path = "", commits = "0", rate = "100", rows = "1"] = process.argv.slice(2);
const database = new Database(path, { timeout: 30_000 });
const change = database.prepare("UPDATE entry SET amount = amount + 1 WHERE id = ?");
const mark = database.prepare("INSERT INTO mark (made) VALUES (?)");
const commit = database.transaction((id: number) => {
  change.run(id);
  mark.run(process.hrtime.bigint());
});

const latencies: number[] = [];
const startMs = performance.now();
for (let i = 0; i < Number(commits); i++) {
  const dueMs = startMs + (i * 1000) / Number(rate);
  if (dueMs > performance.now() + 1) await sleep(dueMs - performance.now());
  const beganMs = performance.now();
  commit(1 + Math.floor(Math.random() * Number(rows)));
  latencies.push(performance.now() - beganMs);
}
database.close();

latencies.sort((a, b) => a - b);
const figures: RandomWriterFigures = {
  p50: percentile(latencies, 0.5),
  p99: percentile(latencies, 0.99),
  max: latencies.at(-1) ?? Number.NaN,
};
console.log(JSON.stringify(figures));

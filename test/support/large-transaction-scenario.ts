/** One transaction that is far larger than what the daemons may hold in memory passes through. */
import Database from "better-sqlite3";
import { expect } from "vitest";
import { createSet, OPERATIONAL, PAIR, startAll, stopAndCompare, untilLevel } from "./mirror-set.ts";
import { peakResidentBytes } from "./process-figures.ts";

const MIB = 1 << 20;
const MOST_RESIDENT_BYTES = 300 * MIB;

export async function runLargeTransactionScenario(options: { mebibytes: number }): Promise<void> {
  const set = createSet(PAIR);
  const db = new Database(set.databasePath(OPERATIONAL));
  db.pragma("journal_mode = WAL");
  db.exec("CREATE TABLE blob (id INTEGER PRIMARY KEY, content BLOB NOT NULL)");
  await startAll(set);
  const insert = db.prepare("INSERT INTO blob (content) VALUES (randomblob(1048576))");
  db.transaction(() => {
    for (let i = 0; i < options.mebibytes; i++) insert.run();
  }).immediate();
  db.close();
  expect(await untilLevel(set, countBlobs)).toEqual({ blobs: options.mebibytes });
  for (const { member } of set.members) {
    const resident = peakResidentBytes(set.daemon(member)?.pid ?? 0);
    console.log(`${member}: peak of ${Math.round(resident / MIB)} MiB for a transaction of ${options.mebibytes} MiB`);
    expect(resident).toBeLessThan(MOST_RESIDENT_BYTES);
  }
  await stopAndCompare(set);
}

function countBlobs(path: string): unknown {
  const db = new Database(path, { readonly: true, timeout: 10_000 });
  try {
    return db.prepare("SELECT count(*) AS blobs FROM blob").get();
  } finally {
    db.close();
  }
}

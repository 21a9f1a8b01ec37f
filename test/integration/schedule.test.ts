import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { CHAIN, createSet, OPERATIONAL, startAll, stopAndCompare, untilLevel } from "../support/mirror-set.ts";

const SECONDS_BETWEEN_ROTATIONS = 2;
const COMMITS = 200;

/** lisbon with two followers, of which one has a follower of its own. */
const SET = [...CHAIN, { member: "coimbra", follows: OPERATIONAL }];

function count(path: string): unknown {
  const database = new Database(path, { readonly: true, timeout: 5_000 });
  try {
    return database.prepare("SELECT count(*) FROM visit").pluck().get();
  } finally {
    database.close();
  }
}

test("a schedule cuts one segment a turn, and spokes and chains follow it", async () => {
  const set = createSet(SET, { rotate: `*/${SECONDS_BETWEEN_ROTATIONS} * * * * *` });
  const database = new Database(set.databasePath(OPERATIONAL));
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE visit (id INTEGER PRIMARY KEY, note TEXT)");
  await startAll(set);

  const insert = database.prepare("INSERT INTO visit (note) VALUES (?)");
  const startedMs = performance.now();
  for (let i = 0; i < COMMITS; i++) {
    insert.run(`visit ${i}`);
    await sleep(40);
  }
  expect(await untilLevel(set, count)).toBe(COMMITS);
  const turns = Math.ceil((performance.now() - startedMs) / 1000 / SECONDS_BETWEEN_ROTATIONS) + 1;
  expect(set.segmentCount()).toBeGreaterThan(1);
  expect(set.segmentCount()).toBeLessThanOrEqual(turns);
  database.close();
  await stopAndCompare(set);
});

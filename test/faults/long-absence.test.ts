import Database from "better-sqlite3";
import { pino } from "pino";
import { expect, test } from "vitest";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { DATABASE, type DemoSet } from "../../src/demo/demo-set.ts";
import { Member } from "../../src/member/member.ts";
import { createSet, MIRROR, OPERATIONAL, PAIR, startAll, stopAndCompare, untilLevel } from "../support/mirror-set.ts";

const SEGMENTS = 10_000;
const ROWS = 5_000;

async function openMember(set: DemoSet, member: string): Promise<Member> {
  const logger = pino({ level: "silent" });
  return await Member.open({ configuration: loadConfiguration(set.configPath), member, logger });
}

/** Segments that the member's journal got, and their bytes. */
async function journalOf(set: DemoSet, member: string): Promise<{ segments: number; bytes: number }> {
  await using opened = await openMember(set, member);
  const rows = opened.context.store.segments(DATABASE, { kind: "segment" });
  return { segments: rows.length, bytes: rows.reduce((sum, row) => sum + row.bytes, 0) };
}

/** Updates of a table that is much smaller than all that is written to it. */
async function cutSegments(set: DemoSet): Promise<void> {
  await using operational = await openMember(set, OPERATIONAL);
  const application = new Database(set.databasePath(OPERATIONAL));
  const update = application.prepare("UPDATE account SET balance = balance + ?, note = randomblob(100) WHERE id = ?");
  for (let segment = 0; segment < SEGMENTS; segment++) {
    update.run(segment, (segment * 7919) % ROWS);
    await operational.rotate();
  }
  application.close();
}

function look(path: string): unknown {
  const database = new Database(path, { readonly: true, timeout: 5_000 });
  try {
    return database.prepare("SELECT count(*) AS rows, sum(balance) AS balance FROM account").get();
  } finally {
    database.close();
  }
}

test("a mirror that was away while 10,000 segments were cut gets less than their sum, and catches up", async () => {
  const set = createSet(PAIR);
  const application = new Database(set.databasePath(OPERATIONAL));
  application.pragma("journal_mode = WAL");
  application.exec("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INT, note BLOB)");
  const insert = application.prepare("INSERT INTO account VALUES (?, 0, randomblob(100))");
  application.transaction(() => {
    for (let id = 0; id < ROWS; id++) insert.run(id);
  })();
  application.close();
  await startAll(set);
  await untilLevel(set, look);
  await set.stopDaemons();
  const before = await journalOf(set, MIRROR);

  const cutAtMs = performance.now();
  await cutSegments(set);
  const cutMs = performance.now() - cutAtMs;
  const cut = await journalOf(set, OPERATIONAL);
  const backAtMs = performance.now();
  await startAll(set);
  await untilLevel(set, look);
  const caughtUpMs = performance.now() - backAtMs;
  await stopAndCompare(set);
  const received = await journalOf(set, MIRROR);
  const files = received.segments - before.segments;
  const sent = received.bytes - before.bytes;
  console.log(`${cut.segments} segments of ${cut.bytes} bytes cut in ${(cutMs / 1000).toFixed(1)} s`);
  console.log(`${files} files of ${sent} bytes sent, level after ${(caughtUpMs / 1000).toFixed(1)} s`);

  expect(cut.segments).toBeGreaterThanOrEqual(SEGMENTS);
  expect(sent).toBeLessThan(cut.bytes / 2);
});

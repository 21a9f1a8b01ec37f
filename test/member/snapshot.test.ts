import { copyFileSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import { FileSource } from "../../src/journal/file-source.ts";
import { verifySegment } from "../../src/ltx/verify-segment.ts";
import type { Member } from "../../src/member/member.ts";
import { countEntries, createEntries, EntryWriter, stopWriters } from "../support/entries.ts";
import {
  addVisits,
  CLINIC,
  createClinic,
  databasePath,
  inboxPath,
  openMember,
  segmentsPath,
} from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

function addBallast(path: string, megabytes: number): void {
  const database = new Database(path);
  database.exec("CREATE TABLE ballast (id INTEGER PRIMARY KEY, bytes BLOB)");
  const insert = database.prepare("INSERT INTO ballast (bytes) VALUES (randomblob(1000000))");
  for (let i = 0; i < megabytes; i++) insert.run();
  database.close();
}

/** Copies the newest snapshot and what follows it into porto's inbox. */
function carryFromNewestSnapshot(root: string, lisbon: Member): void {
  const { journal, store, epoch } = lisbon.context;
  mkdirSync(inboxPath(root, "porto"), { recursive: true });
  const snapshot = store.latestSnapshot(CLINIC, epoch);
  if (snapshot === null) throw new Error("no snapshot");
  const after = store.segments(CLINIC, { kind: "segment" }).filter(({ minTxid }) => minTxid > snapshot.maxTxid);
  for (const row of [snapshot, ...after]) {
    const path = journal.path(row);
    copyFileSync(path, join(inboxPath(root, "porto"), path.slice(path.lastIndexOf("/") + 1)));
  }
}

test("a snapshot under load is the database at its transaction, and segments are cut while it is written", async () => {
  const root = temporaryDirectory();
  const path = databasePath(root, "lisbon");
  createEntries(path);
  addBallast(path, 60);
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  const duty = lisbon.operational.get(CLINIC);
  const { store, epoch } = lisbon.context;
  const writers = [
    EntryWriter.start("better-sqlite3", path, "first", 1),
    EntryWriter.start("python", path, "second", 1),
  ];
  while (Object.keys(countEntries(path)).length < 2) await duty?.poll({ rotate: true });

  let writing = true;
  const snapshot = lisbon.snapshotOrEvent(CLINIC).finally(() => {
    writing = false;
  });
  let cut = 0;
  while (writing) {
    const before = store.database(CLINIC)?.received?.txid;
    await duty?.poll({ rotate: true });
    if (store.database(CLINIC)?.received?.txid !== before) cut++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await snapshot).toBe(true);
  expect(cut).toBeGreaterThan(3);
  const written = await stopWriters(writers);
  await lisbon.rotate();

  const row = store.latestSnapshot(CLINIC, epoch);
  if (row === null) throw new Error("no snapshot");
  expect(row.maxTxid).toBeLessThan(store.database(CLINIC)?.received?.txid ?? 0n);
  const twin = store.catalogue.endingAt(CLINIC, row.maxTxid);
  expect(new Set(twin.map(({ postApplyChecksum }) => postApplyChecksum)).size).toBe(1);
  expect(twin.map(({ kind }) => kind)).toEqual(["segment", "snapshot"]);

  carryFromNewestSnapshot(root, lisbon);
  {
    await using porto = await openMember(root, "porto");
    await porto.integrate();
    expect(await porto.verify()).toMatchObject([{ ok: true }]);
  }
  expect(await lisbon.verify()).toMatchObject([{ ok: true }]);
  await lisbon.close();
  for (const name of ["lisbon", "porto"]) settleDatabase(databasePath(root, name));
  expect(compareDatabases(path, databasePath(root, "porto"))).toMatchObject({ identical: true });
  expect(countEntries(databasePath(root, "porto"))).toEqual(written);
});

test("the WAL is cut back again once a snapshot is written", async () => {
  const root = temporaryDirectory();
  const path = databasePath(root, "lisbon");
  const application = createClinic(path);
  application.pragma("wal_autocheckpoint = 0");
  await using lisbon = await openMember(root, "lisbon");
  const duty = lisbon.operational.get(CLINIC);
  await lisbon.rotate();
  addVisits(application, 3_000);
  expect(await lisbon.snapshotOrEvent(CLINIC)).toBe(true);
  await duty?.poll({ rotate: true });
  addVisits(application, 1);
  await duty?.poll({ rotate: true });
  expect(lisbon.ownStatus().databases[CLINIC]?.walBytes).toBeLessThan(100_000);
  application.close();
});

test("a database that has not changed since its last snapshot gets none", async () => {
  const root = temporaryDirectory();
  const application = createClinic(databasePath(root, "lisbon"));
  await using lisbon = await openMember(root, "lisbon");
  expect(await lisbon.snapshotOrEvent(CLINIC)).toBe(false);
  addVisits(application, 1);
  expect(await lisbon.snapshotOrEvent(CLINIC)).toBe(true);
  expect(await lisbon.snapshotOrEvent(CLINIC)).toBe(false);
  expect(readdirSync(join(segmentsPath(root, "lisbon"), "9"))).toHaveLength(2);
  application.close();
});

test("pages that are not what the journal says become no snapshot", async () => {
  const root = temporaryDirectory();
  const application = createClinic(databasePath(root, "lisbon"));
  addVisits(application, 50);
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  addVisits(application, 1);
  await lisbon.rotate();
  const { store } = lisbon.context;
  const position = store.database(CLINIC)?.received;
  if (position == null) throw new Error("no position");
  // A checksum that the pages do not have: as if a page had been read wrong.
  const other = {
    ...position,
    checksum: store.segments(CLINIC, { limit: 1 })[0]?.postApplyChecksum ?? position.checksum,
  };
  store.saveDatabase(CLINIC, { received: other });
  expect(await lisbon.snapshotOrEvent(CLINIC)).toBe(false);
  expect(store.events({}).at(-1)).toMatchObject({ code: "SNAPSHOT_FAILED", data: { error: "SNAPSHOT_CHECKSUM" } });
  expect(readdirSync(join(segmentsPath(root, "lisbon"), "9"))).toHaveLength(1);
  application.close();
});

test("a database that is closed while its snapshot is written leaves nothing behind", async () => {
  const root = temporaryDirectory();
  const path = databasePath(root, "lisbon");
  createClinic(path).close();
  addBallast(path, 30);
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  addBallastRow(path);
  const snapshot = lisbon.snapshotOrEvent(CLINIC);
  await lisbon.operational.get(CLINIC)?.close();
  expect(await snapshot).toBe(false);
  const directory = join(segmentsPath(root, "lisbon"), "9");
  expect(existsSync(directory) ? readdirSync(directory) : []).toHaveLength(1);
  expect(await lisbon.snapshotOrEvent(CLINIC)).toBe(true);
  const row = lisbon.context.store.latestSnapshot(CLINIC, lisbon.context.epoch);
  if (row === null) throw new Error("no snapshot");
  using source = new FileSource(lisbon.context.journal.path(row));
  expect(verifySegment(source).postApplyChecksum).toBe(row.postApplyChecksum);
});

function addBallastRow(path: string): void {
  const database = new Database(path);
  database.exec("INSERT INTO ballast (bytes) VALUES (randomblob(1000))");
  database.close();
}

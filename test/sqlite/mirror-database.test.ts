/** What a mirror refuses, and what it leaves behind when it does. */
import { readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { type Checksum, toChecksum } from "../../src/ltx/position.ts";
import { MirrorDatabase } from "../../src/sqlite/mirror-database.ts";
import type { PageRun } from "../../src/sqlite/page-run.ts";
import { commitTable, type MemoryRun, memoryTable, PageHistory } from "../support/page-history.ts";
import { pageProblems } from "../support/page-problems.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";
import { MirroredHistory } from "./mirrored-history.ts";

const WRONG = toChecksum(0x8000_0000_0000_0001n);

test("a mirror is fenced from its first moment and equals the snapshot", async () => {
  const pair = await MirroredHistory.create();
  const application = new Sqlite(pair.path);
  expect(() => application.exec("INSERT INTO entry VALUES (1, 'x')")).toThrow(/readonly/);
  expect(application.prepare("SELECT count(*) AS n FROM entry").get()).toEqual({ n: 0 });
  application.close();
  expect(readdirSync(dirname(pair.path)).filter((name) => name.includes("afterimage"))).toEqual([]);
});

test("creation refuses a file that is in the way, and a WAL that was left behind", async () => {
  const directory = temporaryDirectory();
  const history = new PageHistory(join(directory, "model.db"));
  for (const stale of ["a.db", "b.db-wal", "c.db-shm", "d.db-journal"]) {
    writeFileSync(join(directory, stale), "");
    const path = join(directory, stale.slice(0, 4));
    await expect(create(path, history.snapshot())).rejects.toMatchObject({ code: "DATABASE_EXISTS" });
  }
});

test("creation leaves nothing when the snapshot is not what it should be", async () => {
  const directory = temporaryDirectory();
  const snapshot = new PageHistory(join(directory, "model.db")).snapshot();
  const path = join(directory, "mirror.db");
  const gap = { ...snapshot, pages: () => [...snapshot.pages()].filter(({ pgno }) => pgno !== 2) };
  const short = { ...snapshot, pageCount: snapshot.pageCount + 1 };
  await expect(create(path, gap)).rejects.toMatchObject({ code: "CHANGE_INVALID" });
  await expect(create(path, short)).rejects.toMatchObject({ code: "CHANGE_INVALID" });
  await expect(create(path, { ...snapshot, checksum: WRONG })).rejects.toMatchObject({ code: "INTEGRATION_CHECKSUM" });
  expect(readdirSync(directory).filter((name) => name.startsWith("mirror"))).toEqual([]);
});

test("an interrupted creation is taken over when the file is the snapshot, and only then", async () => {
  const pair = await MirroredHistory.create();
  const table = memoryTable();
  const snapshot = pair.history.snapshot();
  await MirrorDatabase.adopt(pair.path, snapshot, { table, expectedChecksum: snapshot.checksum });
  expect(table.checksum).toBe(snapshot.checksum);
  const other = pair.insert(1, 10, 100) && pair.history.snapshot();
  const adoption = MirrorDatabase.adopt(pair.path, other, { table: memoryTable(), expectedChecksum: other.checksum });
  await expect(adoption).rejects.toMatchObject({ code: "DATABASE_EXISTS" });
});

test.each([
  ["a wrong checksum after it", "INTEGRATION_CHECKSUM", (run: MemoryRun) => ({ ...run, checksum: WRONG })],
  ["pages of another size", "CHANGE_INVALID", (run: MemoryRun) => ({ ...run, pageSize: 512 })],
  [
    "a page of another length",
    "CHANGE_INVALID",
    (run: MemoryRun) => withPages(run, (p) => ({ ...p, data: p.data.subarray(2048) })),
  ],
  ["pages out of order", "CHANGE_INVALID", (run: MemoryRun) => ({ ...run, pages: () => [...run.pages()].reverse() })],
  ["a page beyond its end", "CHANGE_INVALID", (run: MemoryRun) => ({ ...run, pageCount: 3 })],
  [
    "growth without the new pages",
    "CHANGE_INVALID",
    (run: MemoryRun) => ({ ...run, pages: () => [...run.pages()].slice(0, 2), checksum: null }),
  ],
  [
    "no pages but another size",
    "CHANGE_INVALID",
    (run: MemoryRun) => ({ ...run, pages: () => [], pageCount: 3, checksum: null }),
  ],
])("a change with %s is refused and leaves the mirror as it was", async (_, code, spoil) => {
  const pair = await MirroredHistory.create();
  const mirror = await pair.open();
  await pair.integrate(mirror, pair.insert(1, 20, 1000));
  const { mark } = mirror;
  const good = pair.insert(100, 400, 3000);
  const bad = spoil(good);
  await expect(mirror.integrate(bad, { expectedChecksum: bad.checksum })).rejects.toMatchObject({ code });
  pair.table.discard();
  expect(mirror.mark).toEqual(mark);
  expect(count(pair.path)).toBe(20);
  await pair.integrate(mirror, good);
  expect(count(pair.path)).toBe(420);
  expect(await pageProblems(mirror, pair.table)).toEqual([]);
  await mirror.close();
});

test("a change whose end turns out to be damaged never becomes visible, not even by recovery", async () => {
  const pair = await MirroredHistory.create();
  const mirror = await pair.open({ bufferBytes: 20_000 });
  await pair.integrate(mirror, pair.insert(1, 20, 1000));
  const change = pair.insert(100, 400, 3000);
  const verifyEnd = () => {
    throw new Error("bad trailer");
  };
  await expect(mirror.integrate(change, { expectedChecksum: change.checksum, verifyEnd })).rejects.toThrow(
    "bad trailer",
  );
  pair.table.discard();
  await mirror.close();
  expect(count(pair.path)).toBe(20);
});

test("a change without pages and with the same size changes nothing", async () => {
  const pair = await MirroredHistory.create();
  const mirror = await pair.open();
  const first = await pair.integrate(mirror, pair.insert(1, 20, 1000));
  const nothing = pair.history.change(() => {});
  expect(await pair.integrate(mirror, nothing)).toEqual(first);
  await mirror.close();
});

test("a snapshot reaches an existing mirror as the pages that differ", async () => {
  const pair = await MirroredHistory.create();
  const mirror = await pair.open();
  await pair.integrate(mirror, pair.insert(1, 2000, 1000));
  expect(mirror.checkpoint()).toBe("truncated");
  // These changes are never sent.
  pair.insert(5000, 3, 1000);
  pair.history.change((db) => db.exec("UPDATE entry SET body = 'x' WHERE id = 1000"));
  const snapshot = pair.history.snapshot();
  await mirror.integrateDifference(snapshot, { expectedChecksum: snapshot.checksum });
  commitTable(pair.table);
  expect(mirror.walFrames).toBeLessThan(40);
  expect(pair.table.checksum).toBe(snapshot.checksum);
  const { mark } = mirror;
  expect(await mirror.integrateDifference(snapshot, { expectedChecksum: snapshot.checksum })).toEqual(mark);
  expect(await pageProblems(mirror, pair.table)).toEqual([]);
  await mirror.close();
});

test("a long reader keeps its state and delays the checkpoint, not the integration", async () => {
  const pair = await MirroredHistory.create();
  const mirror = await pair.open();
  await pair.integrate(mirror, pair.insert(1, 10, 1000));
  const reader = new Sqlite(pair.path, { readonly: true });
  reader.exec("BEGIN");
  expect(reader.prepare("SELECT count(*) FROM entry").pluck().get()).toBe(10);
  await pair.integrate(mirror, pair.insert(100, 10, 1000));
  expect(mirror.checkpoint()).toBe("partial");
  await pair.integrate(mirror, pair.insert(200, 10, 1000));
  expect(reader.prepare("SELECT count(*) FROM entry").pluck().get()).toBe(10);
  reader.exec("COMMIT");
  expect(reader.prepare("SELECT count(*) FROM entry").pluck().get()).toBe(30);
  expect(mirror.checkpoint()).toBe("truncated");
  expect(mirror.checkpoint()).toBe("nothing");
  reader.close();
  await mirror.close();
});

test("only one thing is done at a time", async () => {
  const pair = await MirroredHistory.create();
  const mirror = await pair.open();
  const first = mirror.integrate(pair.insert(1, 10, 100), { expectedChecksum: null });
  expect(thrownBy(() => mirror.checkpoint())).toMatchObject({ code: "DATABASE_BUSY" });
  const second = mirror.integrate(pair.insert(11, 10, 100), { expectedChecksum: null });
  await expect(second).rejects.toMatchObject({ code: "DATABASE_BUSY" });
  await first;
  await mirror.close();
  expect(await mirror.close()).toBeNull();
});

test("verification names the pages that are not what was integrated", async () => {
  const pair = await MirroredHistory.create();
  await (await pair.open()).close();
  pair.table.set(2, 0x8000_0000, 7);
  commitTable(pair.table);
  await expect(pair.open()).rejects.toMatchObject({
    code: "MIRROR_INCONSISTENT",
    message: expect.stringContaining("page 2"),
  });
});

async function create(path: string, snapshot: PageRun & { checksum: Checksum }): Promise<void> {
  await MirrorDatabase.create(path, snapshot, { table: memoryTable(), expectedChecksum: snapshot.checksum });
}

function withPages(
  run: MemoryRun,
  change: (page: { pgno: number; data: Uint8Array }) => { pgno: number; data: Uint8Array },
): MemoryRun {
  return { ...run, pages: () => [...run.pages()].map(change) };
}

function count(path: string): unknown {
  const reader = new Sqlite(path, { readonly: true });
  try {
    return reader.prepare("SELECT count(*) FROM entry").pluck().get();
  } finally {
    reader.close();
  }
}

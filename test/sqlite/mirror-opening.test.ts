/** Which state a mirror is found in when it is opened, and how a commit by somebody else is noticed. */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, renameSync } from "node:fs";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { formatChecksum, toChecksum } from "../../src/ltx/position.ts";
import { fence, isFenced, unfence } from "../../src/sqlite/fence.ts";
import type { MirrorDatabase, MirrorOptions } from "../../src/sqlite/mirror-database.ts";
import { parseFileFootprint } from "../../src/sqlite/mirror-footprint.ts";
import { parseClosedSignature, parseWalMark } from "../../src/sqlite/wal-mark.ts";
import { startChild } from "../support/child-process.ts";
import { commitTable } from "../support/page-history.ts";
import { pageProblems } from "../support/page-problems.ts";
import { thrownBy } from "../support/thrown.ts";
import { MirroredHistory } from "./mirrored-history.ts";

const WRONG = toChecksum(0x8000_0000_0000_0001n);

/** Fails a full comparison, so that an opening that succeeds has not made one. */
function spoilTable(pair: MirroredHistory): void {
  pair.table.set(2, 0x8000_0000, 7);
}

test("the saved mark is enough while a reader keeps the WAL, and survives JSON", async () => {
  const pair = await MirroredHistory.create();
  const reader = openReader(pair.path);
  const first = await pair.open();
  const saved = parseWalMark(JSON.parse(JSON.stringify(await pair.integrate(first, pair.insert(1, 20, 1000)))));
  const file = parseFileFootprint(JSON.parse(JSON.stringify(first.file)));
  expect(saved).toEqual(first.mark);
  expect(await first.close()).toBeNull();
  spoilTable(pair);
  const second = await pair.open({ saved, file });
  expect(second.opened).toBe("current");
  await second.close();
  reader.close();
});

test("the mark alone is not enough when the file has changed since, be it by a checkpoint", async () => {
  const pair = await MirroredHistory.create();
  const reader = openReader(pair.path);
  const first = await pair.open();
  const saved = await pair.integrate(first, pair.insert(1, 20, 1000));
  const { file } = first;
  await first.close();
  expect(reader.pragma("wal_checkpoint(TRUNCATE)")).toMatchObject([{ busy: 0 }]);
  expect((await openAndClose(pair, { saved, file })).opened).toBe("current");
  spoilTable(pair);
  await expect(pair.open({ saved, file })).rejects.toMatchObject({ code: "MIRROR_INCONSISTENT" });
  reader.close();
});

test("the file's signature is enough when the last connection removed the WAL, unless the table moved on", async () => {
  const pair = await MirroredHistory.create();
  const first = await pair.open();
  await pair.integrate(first, pair.insert(1, 20, 1000));
  const closed = parseClosedSignature(JSON.parse(JSON.stringify(await first.close())));
  expect(existsSync(`${pair.path}-wal`)).toBe(false);
  spoilTable(pair);
  await expect(pair.open({ closed })).rejects.toMatchObject({ code: "MIRROR_INCONSISTENT" });
  // Two wrong pages whose checksums cancel each other out are not looked for.
  pair.table.set(2, 1, 7);
  pair.table.set(3, 1, 7);
  const cancelled = closed === null ? null : { ...closed, checksum: formatChecksum(pair.table.checksum) };
  const second = await pair.open({ closed: cancelled });
  expect(second.opened).toBe("current");
  await second.close();
});

test("without any record every page is compared", async () => {
  const pair = await MirroredHistory.create();
  const mirror = await pair.open();
  await pair.integrate(mirror, pair.insert(1, 20, 1000));
  await mirror.close();
  const compared = await pair.open();
  expect(compared.opened).toBe("current");
  await compared.close();
  spoilTable(pair);
  await expect(pair.open()).rejects.toMatchObject({ code: "MIRROR_INCONSISTENT" });
});

test.each([
  ["the WAL goes on", false, false],
  ["the WAL was started anew", true, false],
  ["the last reader removed the WAL", false, true],
])("an announced commit that was not recorded is found when %s", async (_, truncateBefore, removeWal) => {
  const pair = await MirroredHistory.create();
  const reader = openReader(pair.path);
  const first = await pair.open();
  const saved = await pair.integrate(first, pair.insert(1, 20, 1000));
  if (truncateBefore) expect(first.checkpoint()).toBe("truncated");
  const change = pair.insert(100, 20, 1000);
  await first.integrate(change, { expectedChecksum: change.checksum });
  // The process dies here.
  pair.table.discard();
  if (removeWal) {
    reader.close();
    await first.close();
  }
  const second = await pair.open({ saved, intent: { pageCount: change.pageCount, checksum: change.checksum } });
  expect(second.opened).toBe("adopted");
  expect(pair.table.checksum).toBe(change.checksum);
  commitTable(pair.table);
  await pair.integrate(second, pair.insert(200, 20, 1000));
  expect(await pageProblems(second, pair.table)).toEqual([]);
  await second.close();
  if (!removeWal) reader.close();
});

test("an announced commit can be applied once more instead", async () => {
  const pair = await MirroredHistory.create();
  const first = await pair.open();
  const saved = await pair.integrate(first, pair.insert(1, 20, 1000));
  const change = pair.insert(100, 20, 1000);
  await first.integrate(change, { expectedChecksum: change.checksum });
  pair.table.discard();
  const second = await pair.open({ saved, intent: { pageCount: change.pageCount, checksum: change.checksum } });
  pair.table.discard();
  await pair.integrate(second, change);
  expect(await pageProblems(second, pair.table)).toEqual([]);
  await second.close();
  await first.close();
});

test.each([
  ["leads to another checksum than the announced one", { pages: 0, checksum: WRONG }],
  ["leads to another size than the announced one", { pages: 1, checksum: null }],
  ["was not announced", null],
])("a commit that %s is inconsistent, and the table stays as it was", async (_, announced) => {
  const pair = await MirroredHistory.create();
  const first = await pair.open();
  const saved = await pair.integrate(first, pair.insert(1, 20, 1000));
  const { checksum } = pair.table;
  const change = pair.insert(100, 30, 1000);
  await first.integrate(change, { expectedChecksum: change.checksum });
  pair.table.discard();
  const intent =
    announced === null ? null : { pageCount: change.pageCount + announced.pages, checksum: announced.checksum };
  await expect(pair.open({ saved, intent })).rejects.toMatchObject({ code: "MIRROR_INCONSISTENT" });
  expect(pair.table.checksum).toBe(checksum);
  await first.close();
});

test("a commit that its process did not live to publish is not adopted by a recovery after the next opening", async () => {
  const pair = await MirroredHistory.create();
  const reader = openReader(pair.path);
  const dying = startChild(new URL("dying-appender.ts", import.meta.url), [pair.path, "synced"]);
  await dying.line((line) => line === "synced");
  await dying.kill();
  await expectRecovery(pair, false);
  await (await pair.open()).close();
  await expectRecovery(pair, true);
  reader.close();
});

test("a commit by somebody else is noticed, by the cheap check and before the next integration", async () => {
  const pair = await MirroredHistory.create();
  const mirror = await pair.open();
  await pair.integrate(mirror, pair.insert(1, 20, 1000));
  await unfence(pair.path);
  const intruder = new Sqlite(pair.path);
  intruder.exec("DELETE FROM entry WHERE id = 1");
  intruder.close();
  await fence(pair.path);
  expect(thrownBy(() => mirror.checkForeignChange())).toMatchObject({ code: "MIRROR_INCONSISTENT" });
  const change = pair.insert(100, 20, 1000);
  await expect(mirror.integrate(change, { expectedChecksum: change.checksum })).rejects.toMatchObject({
    code: "MIRROR_INCONSISTENT",
  });
  await mirror.close();
});

test("fencing a mirror anew is no foreign change for the next integration, leaving it open is", async () => {
  const pair = await MirroredHistory.create();
  const mirror = await pair.open();
  await unfence(pair.path);
  await expect(pair.integrate(mirror, pair.insert(1, 5, 1000))).rejects.toMatchObject({ code: "MIRROR_INCONSISTENT" });
  await fence(pair.path);
  const rest = pair.history.snapshot();
  await mirror.integrateDifference(rest, { expectedChecksum: rest.checksum });
  await mirror.close();
});

test("a replaced file and a removed WAL are noticed", async () => {
  const pair = await MirroredHistory.create();
  const mirror = await pair.open();
  await pair.integrate(mirror, pair.insert(1, 20, 1000));
  const wal = `${pair.path}-wal`;
  renameSync(wal, `${wal}.gone`);
  expect(thrownBy(() => mirror.checkForeignChange())).toMatchObject({ code: "MIRROR_INCONSISTENT" });
  renameSync(`${wal}.gone`, wal);
  mirror.checkForeignChange();
  renameSync(pair.path, `${pair.path}.gone`);
  copyFileSync(pair.history.path, pair.path);
  expect(thrownBy(() => mirror.checkForeignChange())).toMatchObject({ code: "MIRROR_INCONSISTENT" });
  await mirror.close();
});

async function openAndClose(pair: MirroredHistory, options: Partial<MirrorOptions>): Promise<MirrorDatabase> {
  const mirror = await pair.open(options);
  await mirror.close();
  return mirror;
}

function openReader(path: string): Sqlite.Database {
  const reader = new Sqlite(path);
  reader.pragma("wal_autocheckpoint = 0");
  reader.prepare("SELECT count(*) FROM entry").get();
  return reader;
}

/** A copy without `-shm`, as a reboot leaves it, is recovered from its frames: is it still fenced? */
async function expectRecovery(pair: MirroredHistory, fenced: boolean): Promise<void> {
  const copy = `${pair.path}-copy`;
  execFileSync("cp", [pair.path, copy]);
  copyFileSync(`${pair.path}-wal`, `${copy}-wal`);
  expect(await isFenced(copy)).toBe(fenced);
}

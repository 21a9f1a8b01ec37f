/** Changes of a mirror's files that leave no commit behind: they are noticed by the files' looks and settled by their pages. */
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, renameSync, utimesSync } from "node:fs";
import Sqlite from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { isFenced, unfence } from "../../src/sqlite/fence.ts";
import type { MirrorDatabase } from "../../src/sqlite/mirror-database.ts";
import { startChild } from "../support/child-process.ts";
import { MirroredHistory } from "./mirrored-history.ts";

const INCONSISTENT = { code: "MIRROR_INCONSISTENT" };
const WRITE_VERSION_OFFSET = 18;

/** A mirror with something in its WAL, and the same with an empty one. */
const WALS = [
  ["with a full WAL", false],
  ["with an empty WAL", true],
] as const;

async function openMirror(checkpointed: boolean): Promise<{ pair: MirroredHistory; mirror: MirrorDatabase }> {
  const pair = await MirroredHistory.create();
  const mirror = await pair.open();
  onTestFinished(async () => void (await mirror.close()));
  await pair.integrate(mirror, pair.insert(1, 40, 1000));
  if (checkpointed) expect(mirror.checkpoint()).toBe("truncated");
  return { pair, mirror };
}

/** Changes bytes of a file without SQLite, in another process: here it would drop the mirror's locks. */
async function edit(path: string, offset: number, byte: number): Promise<void> {
  const child = startChild(new URL("byte-editor.ts", import.meta.url), [path, String(offset), String(byte)]);
  await child.line((line) => line === "done");
}

/** Over what is there, as `cp` does; by another process, for the same reason. */
function copyFile(from: string, to: string): void {
  execFileSync("cp", [from, to]);
}

test.each(WALS)("a page that was edited by hand is noticed, %s", async (_, checkpointed) => {
  const { mirror, pair } = await openMirror(checkpointed);
  expect(await mirror.examine()).toBe("untouched");
  await edit(pair.path, 2 * 4096 - 1, 0x5a);
  if (!checkpointed) await edit(`${pair.path}-wal`, 32 + 24 + 100, 0x5a);
  await expect(mirror.examine()).rejects.toMatchObject(INCONSISTENT);
  const change = pair.insert(100, 5, 1000);
  await expect(mirror.integrate(change, { expectedChecksum: change.checksum })).rejects.toMatchObject(INCONSISTENT);
  // Nor does closing it make it the mirror's own.
  expect(await mirror.close()).toBeNull();
});

test("a page that was edited by hand just before a checkpoint of ours is noticed after it", async () => {
  const { mirror, pair } = await openMirror(true);
  await pair.integrate(mirror, pair.insert(100, 3, 100));
  await edit(pair.path, 5 * 4096 + 200, 0x5a);
  expect(mirror.checkpoint()).toBe("busy");
  await expect(mirror.examine()).rejects.toMatchObject(INCONSISTENT);
});

test.each(WALS)(
  "files that only look touched are accepted once their pages were compared, %s",
  async (_, checkpointed) => {
    const { mirror, pair } = await openMirror(checkpointed);
    utimesSync(pair.path, 1_700_000_000, 1_700_000_000);
    expect(await mirror.examine()).toBe("unchanged");
    expect(await mirror.examine()).toBe("untouched");
    await pair.integrate(mirror, pair.insert(100, 5, 1000));
    expect(await mirror.examine()).toBe("untouched");
  },
);

test("checkpoints by others are nothing to look at", async () => {
  const { mirror, pair } = await openMirror(false);
  const other = new Sqlite(pair.path);
  onTestFinished(() => void other.close());
  for (const [i, mode] of ["PASSIVE", "FULL", "RESTART", "TRUNCATE"].entries()) {
    await pair.integrate(mirror, pair.insert(100 + 10 * i, 5, 1000));
    other.pragma(`wal_checkpoint(${mode})`);
    expect([mode, await mirror.examine()]).toEqual([mode, "untouched"]);
  }
});

test.each(WALS)("a fence that was removed by hand is put back, %s", async (_, checkpointed) => {
  const { mirror, pair } = await openMirror(checkpointed);
  await edit(pair.path, WRITE_VERSION_OFFSET, 2);
  expect(await mirror.examine()).toBe("fenced");
  expect(await isFenced(pair.path)).toBe(true);
  await pair.integrate(mirror, pair.insert(100, 5, 1000));
  expect(mirror.checkpoint()).toBe("truncated");
  expect(await mirror.examine()).toBe("untouched");
  await mirror.close();
  expect(readFileSync(pair.path)[WRITE_VERSION_OFFSET]).toBe(3);
});

test("a fence that was removed while nobody looked is put back at the next opening", async () => {
  const pair = await MirroredHistory.create();
  expect(await unfence(pair.path)).toBe(true);
  const mirror = await pair.open();
  expect(mirror.wasUnfenced).toBe(true);
  expect(await isFenced(pair.path)).toBe(true);
  await pair.integrate(mirror, pair.insert(1, 5, 1000));
  await mirror.close();
});

test("a mirror without its fence that was written to is neither opened nor fenced", async () => {
  const pair = await MirroredHistory.create();
  await unfence(pair.path);
  const intruder = new Sqlite(pair.path);
  intruder.exec("INSERT INTO entry (body) VALUES ('mine')");
  intruder.close();
  await expect(pair.open()).rejects.toMatchObject(INCONSISTENT);
  expect(await isFenced(pair.path)).toBe(false);
});

test("a file that was put in the place of a mirror's while nobody looked is noticed, although the WAL is the same", async () => {
  const pair = await MirroredHistory.create();
  const first = await pair.open();
  await pair.integrate(first, pair.insert(1, 40, 1000));
  expect(first.checkpoint()).toBe("truncated");
  copyFile(pair.path, `${pair.path}.yesterday`);
  await pair.integrate(first, pair.insert(200, 40, 1000));
  expect(first.checkpoint()).toBe("truncated");
  const saved = await pair.integrate(first, pair.insert(300, 1, 10));
  const { file } = first;
  const reader = new Sqlite(pair.path);
  reader.prepare("SELECT count(*) FROM entry").get();
  onTestFinished(() => void reader.close());
  await first.close();
  copyFile(pair.path, `${pair.path}.today`);
  copyFile(`${pair.path}.yesterday`, pair.path);
  await expect(pair.open({ saved, file })).rejects.toMatchObject(INCONSISTENT);
  copyFile(`${pair.path}.today`, pair.path);
  const again = await pair.open({ saved, file });
  expect(again.opened).toBe("current");
  await again.close();
});

test("a mirror of yesterday beside the state of today is noticed, and the reverse", async () => {
  const pair = await MirroredHistory.create();
  const first = await pair.open();
  const saved = await pair.integrate(first, pair.insert(1, 40, 1000));
  const oldTable = pair.table.checksum;
  await first.close();
  copyFileSync(pair.path, `${pair.path}.yesterday`);
  const second = await pair.open({ saved });
  await pair.integrate(second, pair.insert(100, 40, 1000));
  const closed = await second.close();
  copyFileSync(pair.path, `${pair.path}.today`);

  renameSync(`${pair.path}.yesterday`, pair.path);
  await expect(pair.open({ closed })).rejects.toMatchObject(INCONSISTENT);
  renameSync(`${pair.path}.today`, pair.path);
  expect(pair.table.checksum).not.toBe(oldTable);
  const third = await pair.open({ closed });
  expect(third.opened).toBe("current");
  await third.close();
});

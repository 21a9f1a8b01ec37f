/** What we append, read by SQLite itself: two of its versions, all page sizes, and its own recovery. */
import { execFileSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { MirrorDatabase } from "../../src/sqlite/mirror-database.ts";
import type { MemoryRun } from "../support/page-history.ts";
import { pageProblems } from "../support/page-problems.ts";
import { MirroredHistory } from "./mirrored-history.ts";

const PAGE_SIZES = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];

const READ_ALL =
  "SELECT count(*) AS entries, coalesce(sum(id), 0) AS ids, coalesce(sum(length(body)), 0) AS bytes FROM entry";
const READ_INDEX = "SELECT count(*) AS entries FROM entry INDEXED BY entry_body WHERE body >= x''";

test.each(PAGE_SIZES)("SQLite reads every commit that was appended, pages of %i bytes", async (pageSize) => {
  const pair = await MirroredHistory.create({ pageSize });
  const mirror = await pair.open();
  for (const change of [
    () => pair.insert(1, 40, pageSize),
    () => pair.insert(100, 500, pageSize),
    () => pair.history.change((db) => db.exec("UPDATE entry SET body = zeroblob(10) WHERE id % 3 = 0")),
    () => pair.history.change((db) => db.exec("DELETE FROM entry WHERE id > 120; VACUUM")),
    () => pair.insert(1000, 30, pageSize),
  ]) {
    await integrateAndCompare(pair, mirror, change());
  }
  expect(await pageProblems(mirror, pair.table)).toEqual([]);
  await mirror.close();
});

test.each([512, 4096])(
  "commits of thousands of frames fill several blocks of the wal-index, pages of %i bytes",
  async (pageSize) => {
    const pair = await MirroredHistory.create({ pageSize });
    const mirror = await pair.open();
    // Below, across and far beyond the 4062 entries of the first block, then commits that begin inside a later block.
    for (const [firstId, count] of [
      [1, 1000],
      [2000, 1500],
      [4000, 4000],
      [9000, 3],
      [9100, 40],
      [9300, 2500],
    ] as const) {
      await integrateAndCompare(pair, mirror, pair.insert(firstId, count, Math.floor(pageSize * 1.6)));
    }
    expect(mirror.walFrames).toBeGreaterThan(12_000);
    await compareAfterRecovery(pair, mirror);
    await mirror.close();
  },
);

test("a database that shrinks by auto_vacuum shrinks on the mirror", async () => {
  const pair = await MirroredHistory.create({ autoVacuum: "full" });
  const mirror = await pair.open();
  await integrateAndCompare(pair, mirror, pair.insert(1, 800, 3000));
  const shrunk = pair.history.change((db) => db.exec("DELETE FROM entry WHERE id > 10"));
  expect(shrunk.pageCount).toBeLessThan(60);
  await integrateAndCompare(pair, mirror, shrunk);
  expect(mirror.checkpoint()).toBe("truncated");
  compare(pair);
  expect(await pageProblems(mirror, pair.table)).toEqual([]);
  await mirror.close();
});

test("SQLite's recovery from the frames alone finds the same database", async () => {
  const pair = await MirroredHistory.create();
  const mirror = await pair.open();
  await integrateAndCompare(pair, mirror, pair.insert(1, 100, 3000));
  await integrateAndCompare(pair, mirror, pair.insert(200, 50, 3000));
  await compareAfterRecovery(pair, mirror);
  await mirror.close();
});

test("the WAL is started anew after a checkpoint, ours or somebody else's", async () => {
  const pair = await MirroredHistory.create();
  const mirror = await pair.open();
  const modes = ["TRUNCATE", "RESTART", "FULL", "PASSIVE"];
  for (let round = 0; round < modes.length * 2; round++) {
    await integrateAndCompare(pair, mirror, pair.insert(round * 100 + 1, 20, 2000));
    if (round % 2 === 0) expect(mirror.checkpoint()).toBe("truncated");
    else checkpointWithPython(pair.path, modes[(round - 1) / 2] ?? "");
    mirror.checkForeignChange();
  }
  expect(await pageProblems(mirror, pair.table)).toEqual([]);
  await mirror.close();
});

async function integrateAndCompare(pair: MirroredHistory, mirror: MirrorDatabase, run: MemoryRun): Promise<void> {
  await pair.integrate(mirror, run);
  compare(pair);
}

/** SQLite in this process, and the older one that Python has, against the model. */
function compare({ path, history }: MirroredHistory): void {
  const reader = new Sqlite(path, { readonly: true });
  try {
    for (const sql of [READ_ALL, READ_INDEX, "PRAGMA page_count"]) {
      expect(reader.prepare(sql).all()).toEqual(history.database.prepare(sql).all());
    }
    expect(reader.pragma("integrity_check", { simple: true })).toBe("ok");
  } finally {
    reader.close();
  }
  expect(readWithPython(path)).toEqual([Object.values(history.database.prepare(READ_ALL).get() ?? {}), "ok"]);
}

/** A copy without `-shm` is what a reboot leaves. */
async function compareAfterRecovery(pair: MirroredHistory, mirror: MirrorDatabase): Promise<void> {
  const copy = `${pair.path}-copy`;
  // cp, because closing our own descriptor of the database would drop this process's locks on it.
  execFileSync("cp", [pair.path, copy]);
  copyFileSync(`${pair.path}-wal`, `${copy}-wal`);
  const recovered = await MirrorDatabase.open(copy, { table: pair.table, saved: mirror.mark });
  expect({ opened: recovered.opened, frames: recovered.walFrames }).toEqual({
    opened: "current",
    frames: mirror.walFrames,
  });
  expect(await pageProblems(recovered, pair.table)).toEqual([]);
  await recovered.close();
}

function checkpointWithPython(path: string, mode: string): void {
  const program =
    "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA wal_checkpoint(' + sys.argv[2] + ')').fetchone()[0])";
  expect(execFileSync("python3", ["-c", program, path, mode], { encoding: "utf8" }).trim()).toBe("0");
}

function readWithPython(path: string): unknown {
  const program = `
import json, sqlite3, sys
c = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
row = c.execute(${JSON.stringify(READ_ALL)}).fetchone()
print(json.dumps([list(row), c.execute("PRAGMA integrity_check").fetchone()[0]]))
`;
  return JSON.parse(execFileSync("python3", ["-c", program, path], { encoding: "utf8" }));
}

/** What we append, read by SQLite itself: several of its versions, all page sizes, and its own recovery. */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { MirrorDatabase } from "../../src/sqlite/mirror-database.ts";
import { commitTable, type MemoryRun, memoryTable, noise, PageHistory } from "../support/page-history.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const PAGE_SIZES = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];

const READ_ALL =
  "SELECT count(*) AS entries, coalesce(sum(id), 0) AS ids, coalesce(sum(length(body)), 0) AS bytes FROM entry";
const READ_INDEX = "SELECT count(*) AS entries FROM entry INDEXED BY entry_body WHERE body >= x''";

test.each(PAGE_SIZES)("SQLite reads every commit that was appended, pages of %i bytes", async (pageSize) => {
  const pair = await mirroredHistory({ pageSize });
  await pair.integrate(pair.insert(1, 40, pageSize));
  await pair.integrate(pair.insert(100, 500, pageSize));
  await pair.integrate(pair.history.change((db) => db.exec("UPDATE entry SET body = zeroblob(10) WHERE id % 3 = 0")));
  await pair.integrate(pair.history.change((db) => db.exec("DELETE FROM entry WHERE id > 120; VACUUM")));
  await pair.integrate(pair.insert(1000, 30, pageSize));
  await pair.close();
});

test.each([512, 4096])(
  "commits of thousands of frames fill several blocks of the wal-index, pages of %i bytes",
  async (pageSize) => {
    const pair = await mirroredHistory({ pageSize });
    const frames: number[] = [];
    // Below, across and far beyond the 4062 entries of the first block, then commits that begin inside a later block.
    for (const [from, count] of [
      [1, 1000],
      [2000, 1500],
      [4000, 4000],
      [9000, 3],
      [9100, 2],
      [9200, 40],
      [9300, 2500],
    ] as const) {
      await pair.integrate(pair.insert(from, count, Math.floor(pageSize * 1.6)));
      frames.push(pair.mirror.walFrames);
    }
    expect(frames.at(-1)).toBeGreaterThan(12_000);
    await pair.compareAfterRecovery();
    await pair.close();
  },
);

test("a database that shrinks by auto_vacuum shrinks on the mirror", async () => {
  const pair = await mirroredHistory({ autoVacuum: "full" });
  await pair.integrate(pair.insert(1, 800, 3000));
  const shrunk = pair.history.change((db) => db.exec("DELETE FROM entry WHERE id > 10"));
  expect(shrunk.pageCount).toBeLessThan(60);
  await pair.integrate(shrunk);
  expect(pair.mirror.checkpoint()).toBe("truncated");
  pair.compare();
  await pair.close();
});

test("SQLite's recovery from the frames alone finds the same database", async () => {
  const pair = await mirroredHistory({});
  await pair.integrate(pair.insert(1, 100, 3000));
  await pair.integrate(pair.insert(200, 50, 3000));
  await pair.compareAfterRecovery();
  await pair.close();
});

test("the WAL is started anew after a checkpoint, by us and by somebody else", async () => {
  const pair = await mirroredHistory({});
  for (let round = 0; round < 6; round++) {
    await pair.integrate(pair.insert(round * 100 + 1, 20, 2000));
    if (round % 2 === 0) expect(pair.mirror.checkpoint()).toBe("truncated");
    else pair.checkpointElsewhere(["TRUNCATE", "RESTART", "FULL"][round % 3] ?? "");
    pair.mirror.checkForeignChange();
  }
  expect((await pair.mirror.verifyPages()).problems).toEqual([]);
  await pair.close();
});

class MirroredHistory {
  readonly history: PageHistory;
  readonly path: string;
  readonly table = memoryTable();
  mirror: MirrorDatabase;

  constructor(history: PageHistory, path: string, mirror: MirrorDatabase, table: ReturnType<typeof memoryTable>) {
    this.history = history;
    this.path = path;
    this.mirror = mirror;
    this.table = table;
  }

  insert(firstId: number, count: number, bodyBytes: number): MemoryRun {
    return this.history.change((db) => {
      const insert = db.prepare("INSERT INTO entry (id, body) VALUES (?, ?)");
      db.transaction(() => {
        for (let id = firstId; id < firstId + count; id++) insert.run(id, noise(id, bodyBytes));
      })();
    });
  }

  async integrate(run: MemoryRun): Promise<void> {
    await this.mirror.integrate(run, { expectedChecksum: run.checksum });
    commitTable(this.table);
    this.compare();
  }

  /** SQLite in this process, and the older one that Python has. */
  compare(): void {
    const reader = new Sqlite(this.path, { readonly: true });
    try {
      for (const sql of [READ_ALL, READ_INDEX])
        expect(reader.prepare(sql).all()).toEqual(this.history.database.prepare(sql).all());
      expect(reader.pragma("integrity_check", { simple: true })).toBe("ok");
      expect(reader.pragma("page_count", { simple: true })).toBe(
        this.history.database.pragma("page_count", { simple: true }),
      );
    } finally {
      reader.close();
    }
    const seen = readWithPython(this.path);
    expect(seen).toEqual([Object.values(this.history.database.prepare(READ_ALL).get() ?? {}), "ok"]);
  }

  /** A reader keeps the WAL while we close, then `-shm` is removed, as a reboot does. */
  async compareAfterRecovery(): Promise<void> {
    const frames = this.mirror.walFrames;
    const mark = this.mirror.mark;
    const copy = `${this.path}-copy`;
    execFileSync("cp", [this.path, copy]);
    execFileSync("cp", [`${this.path}-wal`, `${copy}-wal`]);
    const recovered = await MirrorDatabase.open(copy, { table: this.table, saved: mark });
    expect(recovered.walFrames).toBe(frames);
    expect(recovered.opened).toBe("current");
    expect((await recovered.verifyPages()).problems).toEqual([]);
    await recovered.close();
    rmSync(copy);
  }

  checkpointElsewhere(mode: string): void {
    const program =
      "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); print(c.execute('PRAGMA wal_checkpoint('+sys.argv[2]+')').fetchone()[0])";
    expect(execFileSync("python3", ["-c", program, this.path, mode], { encoding: "utf8" }).trim()).toBe("0");
  }

  async close(): Promise<void> {
    expect((await this.mirror.verifyPages()).problems).toEqual([]);
    await this.mirror.close();
    this.history.database.close();
  }
}

async function mirroredHistory(options: { pageSize?: number; autoVacuum?: "none" | "full" }): Promise<MirroredHistory> {
  const directory = temporaryDirectory();
  const history = new PageHistory(join(directory, "model.db"), options);
  const path = join(directory, "mirror.db");
  const table = memoryTable();
  const snapshot = history.snapshot();
  await MirrorDatabase.create(path, snapshot, { table, expectedChecksum: snapshot.checksum });
  commitTable(table);
  const mirror = await MirrorDatabase.open(path, { table, saved: null });
  return new MirroredHistory(history, path, mirror, table);
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

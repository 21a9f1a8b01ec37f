import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { SegmentHeader } from "../../src/ltx/header.ts";
import { type Checksum, formatChecksum, toTxid } from "../../src/ltx/position.ts";
import {
  databaseChecksum,
  decodeSegment,
  encodeSegment,
  headerOf,
  type PageSpec,
  snapshotHeaderOf,
} from "../ltx/segment-spec.ts";
import { buildGoTool, type GoTool } from "./go-tool.ts";

const MODULE = "github.com/superfly/ltx/cmd/ltx@v0.5.3";
const run = promisify(execFile);

let tool: GoTool;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "afterimage-ltx-tool-"));
  tool = await buildGoTool(MODULE, "ltx");
  // The default reporter counts skipped tests and does not say why.
  if ("skipped" in tool) console.warn(`ltx is not compared with: ${tool.skipped}`);
});

afterAll(() => rm(directory, { recursive: true }));

beforeEach((context) => {
  if ("skipped" in tool) context.skip(tool.skipped);
});

async function ltx(...args: string[]): Promise<string> {
  if ("skipped" in tool) throw new Error(tool.skipped);
  const { stdout } = await run(tool.path, args, { maxBuffer: 256 * 1024 * 1024 });
  return stdout;
}

function pathOf(name: string): string {
  return join(directory, name);
}

/** A database with text, noise and zeros, in rollback-journal mode so that its file is all of it. */
function createDatabase(name: string, pageSize: number): Database.Database {
  const database = new Database(pathOf(name));
  database.pragma(`page_size = ${pageSize}`);
  database.exec(
    "CREATE TABLE visit (id INTEGER PRIMARY KEY, note TEXT, scan BLOB); CREATE INDEX by_note ON visit (note)",
  );
  addVisits(database, 400);
  return database;
}

function addVisits(database: Database.Database, count: number): void {
  const insert = database.prepare(
    "INSERT INTO visit (note, scan) VALUES (?, iif(? % 3, randomblob(700), zeroblob(900)))",
  );
  database.transaction(() => {
    for (let i = 0; i < count; i++) insert.run(`visit ${i} of patient ${i % 17}, room ${i % 5}`, i);
  })();
}

function readPages(name: string, pageSize: number): PageSpec[] {
  const file = readFileSync(pathOf(name));
  return Array.from({ length: file.length / pageSize }, (_, i) => ({
    pgno: i + 1,
    data: file.subarray(i * pageSize, (i + 1) * pageSize),
  }));
}

/** Writes a segment from one state of a database to the next; from nothing it is a snapshot. */
function writeSegment(name: string, before: PageSpec[], after: PageSpec[], txid: bigint): Checksum {
  const pageSize = after[0]?.data.length ?? 0;
  const common: Partial<SegmentHeader> = {
    pageSize,
    commit: after.length,
    maxTxid: toTxid(txid),
    walOffset: 4152n,
    walSize: 8240n,
    walSalt1: 0x0a0b0c0d,
    walSalt2: 0x01020304,
    nodeId: 0x1_dead_beefn,
  };
  const header =
    before.length === 0
      ? snapshotHeaderOf(common)
      : headerOf({ ...common, minTxid: toTxid(txid), preApplyChecksum: databaseChecksum(before) });
  const pages = after.filter(({ data }, i) => !before[i] || Buffer.compare(before[i].data, data) !== 0);
  const postApplyChecksum = databaseChecksum(after);
  writeFileSync(pathOf(name), encodeSegment({ header, pages, postApplyChecksum }));
  return postApplyChecksum;
}

describe.each([512, 1024, 4096, 65_536])("with pages of %i bytes", (pageSize) => {
  test("the ltx program accepts our snapshot and shows the same values", async () => {
    const name = `show-${pageSize}`;
    createDatabase(`${name}.db`, pageSize).close();
    const pages = readPages(`${name}.db`, pageSize);
    const checksum = formatChecksum(writeSegment(`${name}.ltx`, [], pages, 3n));
    const { trailer } = decodeSegment(readFileSync(pathOf(`${name}.ltx`)));

    expect(await ltx("verify", pathOf(`${name}.ltx`))).toContain("ok");
    expect((await ltx("checksum", pathOf(`${name}.db`))).trim()).toBe(checksum);
    const [, row = ""] = (await ltx("list", "-tsv", pathOf(`${name}.ltx`))).split("\n");
    expect(row.split("\t")).toEqual([
      "0000000000000001",
      "0000000000000003",
      String(pages.length),
      String(pages.length),
      "0000000000000000",
      checksum,
      "2023-11-14T22:13:20Z",
      "4152",
      "8240",
      "0a0b0c0d 01020304",
    ]);
    const dump = await ltx("dump", pathOf(`${name}.ltx`));
    expect(dump).toContain(`Page size: ${pageSize}\n`);
    expect(dump).toContain(`Post-apply:    ${checksum}\n`);
    expect(dump).toContain(`File Checksum: ${formatChecksum(trailer.fileChecksum)}\n`);
  });

  test("what ltx encode-db writes is decoded to the database's pages and checksum", async () => {
    const name = `encoded-${pageSize}`;
    createDatabase(`${name}.db`, pageSize).close();
    await ltx("encode-db", "-o", pathOf(`${name}.ltx`), pathOf(`${name}.db`));
    const { header, pages, trailer } = decodeSegment(readFileSync(pathOf(`${name}.ltx`)));
    const expected = readPages(`${name}.db`, pageSize);
    expect(header).toMatchObject({ pageSize, commit: expected.length, minTxid: 1n, maxTxid: 1n });
    expect(Buffer.concat(pages.map(({ data }) => data)).equals(readFileSync(pathOf(`${name}.db`)))).toBe(true);
    expect(pages.map(({ pgno }) => pgno)).toEqual(expected.map(({ pgno }) => pgno));
    expect(trailer.postApplyChecksum).toBe(databaseChecksum(expected));
  });

  test("ltx apply of our snapshot and segments gives the database, grown and shrunk", async () => {
    const name = `applied-${pageSize}`;
    const database = createDatabase(`${name}.db`, pageSize);
    const states = [readPages(`${name}.db`, pageSize)];
    const steps = [
      () => addVisits(database, 150),
      () => database.exec("UPDATE visit SET note = note || '!' WHERE id % 50 = 0"),
      () => database.exec("DELETE FROM visit WHERE id > 120; VACUUM"),
    ];
    writeSegment(`${name}-1.ltx`, [], states[0] ?? [], 1n);
    for (const [i, step] of steps.entries()) {
      step();
      states.push(readPages(`${name}.db`, pageSize));
      writeSegment(`${name}-${i + 2}.ltx`, states[i] ?? [], states[i + 1] ?? [], BigInt(i + 2));
    }
    database.close();
    expect(states.at(-1)?.length).toBeLessThan(states.at(-2)?.length ?? 0);

    const segments = states.map((_, i) => pathOf(`${name}-${i + 1}.ltx`));
    await ltx("apply", "-db", pathOf(`${name}-copy.db`), ...segments);
    expect(readFileSync(pathOf(`${name}-copy.db`)).equals(readFileSync(pathOf(`${name}.db`)))).toBe(true);
    const copy = new Database(pathOf(`${name}-copy.db`), { readonly: true });
    expect(copy.pragma("integrity_check", { simple: true })).toBe("ok");
    copy.close();
  });
});

test("the ltx program refuses a segment that does not follow", async () => {
  const database = createDatabase("gap.db", 4096);
  const first = readPages("gap.db", 4096);
  addVisits(database, 20);
  const second = readPages("gap.db", 4096);
  addVisits(database, 20);
  const third = readPages("gap.db", 4096);
  database.close();
  writeSegment("gap-1.ltx", [], first, 1n);
  writeSegment("gap-3.ltx", second, third, 3n);
  const applying = ltx("apply", "-db", pathOf("gap-copy.db"), pathOf("gap-1.ltx"), pathOf("gap-3.ltx"));
  await expect(applying).rejects.toMatchObject({ stdout: expect.stringContaining("pre-apply checksum mismatch") });
});

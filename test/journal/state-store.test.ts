import { spawnSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import SqliteDatabase from "better-sqlite3";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { DatabaseChange } from "../../src/journal/database-rows.ts";
import { StateStore } from "../../src/journal/state-store.ts";
import { formatPosition, toChecksum, toTxid } from "../../src/ltx/position.ts";
import { PageChecksumTable } from "../../src/sqlite/page-checksum-table.ts";
import { startChild } from "../support/child-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";
import { stateAt } from "./segment-rows.ts";

const NAMES = { mirror: "clinic", member: "lisbon" };
const READER = new URL("./state-reader.ts", import.meta.url);
const WRITER = new URL("./state-writer.ts", import.meta.url);

function newPath(): string {
  return join(temporaryDirectory(), "member", "state.db");
}

function position(txid: bigint) {
  return { epoch: 1, txid: toTxid(txid), checksum: stateAt(txid) };
}

test("a state keeps its identity when it is opened again", () => {
  const path = newPath();
  const first = StateStore.open(path, NAMES);
  first.close();
  using again = StateStore.open(path, NAMES);
  expect(again.identity).toEqual({ ...NAMES, stateId: first.identity.stateId });
  expect(first.identity.stateId).toMatch(/^[0-9a-f-]{36}$/);
});

test.each([
  ["another member", { mirror: "clinic", member: "porto" }],
  ["another mirror set", { mirror: "shop", member: "lisbon" }],
])("the state of %s is refused and stays as it is", (_, others) => {
  const path = newPath();
  StateStore.open(path, NAMES).close();
  const error = thrownBy(() => StateStore.open(path, others));
  expect(error).toMatchObject({ name: "StateError", code: "STATE_FOREIGN", path });
  using own = StateStore.open(path, NAMES);
  expect(own.identity).toMatchObject(NAMES);
});

test("a state of a newer release is refused, for reading as well", () => {
  const path = newPath();
  StateStore.open(path, NAMES).close();
  const database = new SqliteDatabase(path);
  database.pragma("user_version = 2");
  database.close();
  expect(thrownBy(() => StateStore.open(path, NAMES))).toMatchObject({ code: "STATE_TOO_NEW" });
  expect(thrownBy(() => StateStore.openReadOnly(path))).toMatchObject({ code: "STATE_TOO_NEW" });
});

test("another program's database is refused and not changed", () => {
  const path = join(temporaryDirectory(), "state.db");
  const database = new SqliteDatabase(path);
  database.exec("CREATE TABLE patients (id INTEGER PRIMARY KEY)");
  database.close();
  const before = readFileSync(path);
  expect(thrownBy(() => StateStore.open(path, NAMES))).toMatchObject({ code: "STATE_FOREIGN" });
  expect(readFileSync(path).equals(before)).toBe(true);
});

test("a file that is no database is refused", () => {
  const path = join(temporaryDirectory(), "state.db");
  writeFileSync(path, "x".repeat(8192));
  expect(thrownBy(() => StateStore.open(path, NAMES))).toMatchObject({ code: "STATE_CORRUPT", path });
});

test("reading a state that is not there makes no file", () => {
  const path = join(temporaryDirectory(), "state.db");
  expect(thrownBy(() => StateStore.openReadOnly(path))).toMatchObject({ code: "STATE_MISSING" });
  expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
});

test("a transaction that throws leaves nothing, a nested one only itself undone", () => {
  using store = StateStore.open(newPath(), NAMES);
  thrownBy(() =>
    store.transaction(() => {
      store.saveDatabase("orders", { pageCount: 6 });
      expect(store.database("orders")).toMatchObject({ pageCount: 6 });
      throw new Error("undo");
    }),
  );
  expect(store.database("orders")).toBeNull();

  store.transaction(() => {
    store.saveDatabase("orders", { pageCount: 7 });
    thrownBy(() =>
      store.transaction(() => {
        store.saveDatabase("orders", { pageCount: 8 });
        expect(store.database("orders")).toMatchObject({ pageCount: 8 });
        throw new Error("undo");
      }),
    );
  });
  expect(store.database("orders")).toMatchObject({ pageCount: 7, error: null });
});

test("a verification is what was saved last and not undone", () => {
  const path = newPath();
  using store = StateStore.open(path, NAMES);
  using reader = StateStore.openReadOnly(path);
  const verification = (txid: bigint) => ({ atMs: Number(txid), position: position(txid), ok: true });
  expect(store.verification("orders")).toBeNull();
  for (const txid of [1n, 2n]) {
    store.saveVerification("orders", verification(txid));
    expect([store.verification("orders"), reader.verification("orders")]).toEqual(Array(2).fill(verification(txid)));
  }
  const undone = () => {
    store.saveVerification("orders", verification(3n));
    expect(store.verification("orders")).toEqual(verification(3n));
    throw new Error("undone");
  };
  expect(() => store.transaction(undone)).toThrow("undone");
  expect(store.verification("orders")).toEqual(verification(2n));
  store.forgetVerification("orders");
  expect([store.verification("orders"), reader.verification("orders")]).toEqual([null, null]);
});

test("a database's row gives back what was saved, and keeps what was not mentioned", () => {
  using store = StateStore.open(newPath(), NAMES);
  const uint32 = fc.nat(0xffff_ffff);
  const nullable = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null });
  const positions = fc.record({
    epoch: fc.integer({ min: 1, max: 0xffff_ffff }),
    txid: fc.bigInt(0n, 2n ** 63n - 1n).map(toTxid),
    checksum: fc.bigInt(0n, 2n ** 64n - 1n).map(toChecksum),
  });
  const walPositions = fc.record({ salt1: uint32, salt2: uint32, frame: uint32, checksum1: uint32, checksum2: uint32 });
  const errors = fc.record({
    code: fc.string(),
    message: fc.string(),
    hint: nullable(fc.string()),
    since: fc.string(),
  });
  const timeMs = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  const changes: fc.Arbitrary<DatabaseChange> = fc.record(
    {
      received: nullable(positions),
      integrated: nullable(positions),
      receivedAtMs: nullable(timeMs),
      integratedTimeMs: nullable(timeMs),
      pageSize: nullable(uint32),
      pageCount: nullable(uint32),
      walPosition: nullable(walPositions),
      mirrorMark: nullable(fc.dictionary(fc.string(), fc.string())),
      intent: nullable(fc.array(fc.integer())),
      error: nullable(errors),
    },
    { requiredKeys: [] },
  );
  let expected = {};
  fc.assert(
    fc.property(changes, (change) => {
      expected = { ...expected, ...change };
      store.saveDatabase("orders", change);
      expect(store.database("orders")).toMatchObject(expected);
    }),
    { numRuns: 200 },
  );
});

test("what a disk made of a row is refused", () => {
  const path = newPath();
  StateStore.open(path, NAMES).close();
  const damage = (column: string, value: string) => {
    const database = new SqliteDatabase(path);
    database.prepare("DELETE FROM databases").run();
    database.prepare(`INSERT INTO databases (name, ${column}) VALUES ('orders', ?)`).run(value);
    database.close();
  };
  for (const [column, value] of [
    ["received", "1:2"],
    ["wal_position", '{"salt1":1}'],
    ["wal_position", "{"],
    ["error", "[]"],
  ] as const) {
    damage(column, value);
    using store = StateStore.openReadOnly(path);
    expect(thrownBy(() => store.database("orders"))).toMatchObject({ code: "STATE_CORRUPT" });
  }
});

test("an epoch never goes back", () => {
  using store = StateStore.open(newPath(), NAMES);
  expect(store.role()).toBeNull();
  store.saveRole({ role: "operational", epoch: 3 });
  store.saveRole({ role: "mirror", epoch: 3 });
  expect(thrownBy(() => store.saveRole({ role: "operational", epoch: 2 }))).toMatchObject({ code: "STATE_EPOCH_BACK" });
  expect(store.role()).toEqual({ role: "mirror", epoch: 3 });
});

test("page checksums of an 8 GiB database are stored in one transaction and shrink with it", () => {
  const path = newPath();
  using store = StateStore.open(path, NAMES);
  const chunks = store.chunkStore("orders");
  const bytes = new Uint8Array(8192);
  store.transaction(() => {
    for (let chunk = 0; chunk < 2048; chunk++) chunks.writeChunk(chunk, bytes.fill(chunk % 256));
  });
  expect(chunks.readChunk(2047)).toEqual(Buffer.from(bytes));
  expect(store.chunkStore("billing").readChunk(0)).toBeNull();
  chunks.deleteChunksFrom(5);
  expect(chunks.readChunk(4)).toEqual(Buffer.from(bytes.fill(4)));
  expect(chunks.readChunk(5)).toBeNull();
});

test("a page-checksum table comes back from the state with the same checksums", () => {
  using store = StateStore.open(newPath(), NAMES);
  const table = new PageChecksumTable(store.chunkStore("orders"));
  for (let pgno = 1; pgno <= 3000; pgno++) table.set(pgno, (0x8000_0000 | pgno) >>> 0, pgno * 7);
  store.transaction(() => {
    table.flush();
    store.saveDatabase("orders", { pageCount: table.pageCount });
  });
  const again = new PageChecksumTable(store.chunkStore("orders"), 3000, table.checksum);
  const out = new Uint32Array(2);
  again.get(2999, out);
  expect([...out]).toEqual([0x8000_0bb7, 2999 * 7]);
  store.forgetDatabase("orders");
  expect(store.chunkStore("orders").readChunk(0)).toBeNull();
  expect(store.database("orders")).toBeNull();
});

test("shipments and receipts are kept for each follower and database", () => {
  using store = StateStore.open(newPath(), NAMES);
  const shipment = { epoch: 2, txid: toTxid(2n ** 62n + 1n), atMs: 1_700_000_000_001 };
  store.saveShipment("porto", "orders", { ...shipment, txid: toTxid(1n) });
  store.saveShipment("porto", "orders", shipment);
  expect(store.shipment("porto", "orders")).toEqual(shipment);
  expect(store.shipment("porto", "billing")).toBeNull();

  store.saveReceipt({ member: "porto", status: "{}", seenAtMs: 1 });
  store.saveReceipt({ member: "porto", status: '{"a":1}', seenAtMs: 2 });
  expect(store.receipts()).toEqual([{ member: "porto", status: '{"a":1}', seenAtMs: 2 }]);
});

test("the newest 10,000 events are kept, and ids are never used again", () => {
  using store = StateStore.open(newPath(), NAMES);
  const event = { atMs: 5, level: "warn", code: "RESYNC", database: "orders", message: "m" } as const;
  store.transaction(() => {
    for (let i = 0; i < 10_050; i++) store.addEvent({ ...event, data: { i } });
  });
  const all = store.events({ limit: 20_000 });
  expect(all).toHaveLength(10_000);
  expect(all[0]).toEqual({ ...event, id: 51, data: { i: 50 } });
  expect(store.events({ limit: 2 }).map(({ id }) => id)).toEqual([10_049, 10_050]);
  expect(store.events({ sinceId: 100, limit: 2 }).map(({ id }) => id)).toEqual([101, 102]);
  expect(store.events({ sinceId: 10_050 })).toEqual([]);
  expect(store.addEvent({ ...event, database: null })).toBe(10_051);
  expect(store.events({ limit: 1 })[0]).toMatchObject({ database: null, data: null });
});

test("another process reads the last committed state while a transaction is open", () => {
  const path = newPath();
  using store = StateStore.open(path, NAMES);
  store.saveDatabase("orders", { received: position(1n) });
  const seen = store.transaction(() => {
    store.saveDatabase("orders", { received: position(2n) });
    return spawnSync(process.execPath, [READER.pathname, path], { encoding: "utf8" });
  });
  expect(seen.stderr).toBe("");
  expect(seen.stdout).toBe(formatPosition(position(1n)));
});

test("what was committed before a kill -9 is there, whole transactions only", async () => {
  for (const commits of [1, 20, 100]) {
    const path = newPath();
    const writer = startChild(WRITER, [path]);
    await writer.line((line) => Number(line) >= commits);
    await writer.kill();
    using store = StateStore.open(path, NAMES);
    const printed = Number(writer.lines.at(-1));
    const txid = Number(store.database("orders")?.received?.txid);
    expect(txid).toBeGreaterThanOrEqual(printed);
    expect(store.chunkStore("orders").readChunk(0)?.[8191]).toBe(txid % 251);
    expect(store.segments("orders")).toHaveLength(txid);
  }
});

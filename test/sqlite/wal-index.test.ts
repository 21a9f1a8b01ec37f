import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import Database from "better-sqlite3";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { decodeFrameHeader, frameOffset } from "../../src/sqlite/wal-format.ts";
import {
  decodeWalIndex,
  encodeWalIndexHeader,
  WAL_INDEX_COPY_SIZE,
  WAL_INDEX_HEADER_SIZE,
  walIndexEntries,
} from "../../src/sqlite/wal-index.ts";
import { createDatabase } from "./application-database.ts";

/** Read by another process: closing -shm here would drop SQLite's locks. */
function readShm(path: string): Buffer {
  return execFileSync("cat", [`${path}-shm`], { maxBuffer: 1 << 24 });
}

function createWriter(pageSize: number): Database.Database {
  const db = new Database(createDatabase(pageSize));
  onTestFinished(() => void db.close());
  db.pragma("wal_autocheckpoint = 0");
  return db;
}

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const header = fc.record({
  change: uint32,
  pageSize: fc.constantFrom(512, 1024, 2048, 4096, 8192, 16384, 32768, 65536),
  maxFrame: uint32,
  pageCount: uint32,
  checksum1: uint32,
  checksum2: uint32,
  salt1: uint32,
  salt2: uint32,
});

/** The first 136 bytes of `-shm` with both copies of the header. */
function bothCopies(copy: Uint8Array, backfilled = 0): Uint8Array {
  const bytes = new Uint8Array(WAL_INDEX_HEADER_SIZE);
  bytes.set(copy);
  bytes.set(copy, WAL_INDEX_COPY_SIZE);
  new DataView(bytes.buffer).setUint32(96, backfilled, true);
  new DataView(bytes.buffer).setUint32(128, backfilled, true);
  return bytes;
}

test.each([512, 4096, 65536])("SQLite's own wal-index of %i-byte pages says what the WAL holds", (pageSize) => {
  const db = createWriter(pageSize);
  for (let i = 0; i < 3; i++) db.exec("INSERT INTO t (a) VALUES (randomblob(9000))");
  const wal = readFileSync(`${db.name}-wal`);
  const shm = readShm(db.name);
  const state = decodeWalIndex(shm);
  if (state === null) throw new Error("no valid header");
  const last = decodeFrameHeader(wal, frameOffset(state.maxFrame, pageSize));
  expect(frameOffset(state.maxFrame + 1, pageSize)).toBe(wal.length);
  expect(state).toMatchObject({ pageSize, pageCount: last.commit, backfilled: 0 });
  const { checksum1, checksum2, salt1, salt2 } = state;
  expect({ checksum1, checksum2, salt1, salt2 }).toEqual({
    checksum1: last.checksum1,
    checksum2: last.checksum2,
    salt1: last.salt1,
    salt2: last.salt2,
  });
  expect(Buffer.from(encodeWalIndexHeader(state))).toEqual(shm.subarray(0, WAL_INDEX_COPY_SIZE));
  db.pragma("wal_checkpoint(PASSIVE)");
  expect(decodeWalIndex(readShm(db.name))).toEqual({
    ...state,
    backfilled: state.maxFrame,
    backfillBegun: state.maxFrame,
  });
});

test("the page numbers of all frames are found, over several blocks", () => {
  const db = createWriter(512);
  db.exec("INSERT INTO t (a) VALUES (zeroblob(512 * 10000))");
  const wal = readFileSync(`${db.name}-wal`);
  const shm = readShm(db.name);
  const { maxFrame } = decodeWalIndex(shm) ?? { maxFrame: 0 };
  expect(maxFrame).toBeGreaterThan(4062 + 4096);
  let frame = 0;
  for (const { offset, count } of walIndexEntries(maxFrame)) {
    for (let entry = 0; entry < count; entry++) {
      frame++;
      expect([frame, shm.readUInt32LE(offset + entry * 4)]).toEqual([frame, wal.readUInt32BE(frameOffset(frame, 512))]);
    }
  }
  expect(frame).toBe(maxFrame);
});

test("the stretches of page numbers begin and end at the blocks' edges", () => {
  expect([...walIndexEntries(0)]).toEqual([]);
  expect([...walIndexEntries(4062)]).toEqual([{ offset: 136, count: 4062 }]);
  expect([...walIndexEntries(4062 + 4096 + 1)]).toEqual([
    { offset: 136, count: 4062 },
    { offset: 32768, count: 4096 },
    { offset: 65536, count: 1 },
  ]);
});

test("a header decodes to what was encoded", () => {
  fc.assert(
    fc.property(header, uint32, (fields, backfilled) => {
      expect(decodeWalIndex(bothCopies(encodeWalIndexHeader(fields), backfilled))).toEqual({
        ...fields,
        backfilled,
        backfillBegun: backfilled,
      });
    }),
  );
});

test("any flipped bit, in one copy or in both, makes the header invalid", () => {
  fc.assert(
    fc.property(
      header,
      fc.nat({ max: WAL_INDEX_COPY_SIZE * 8 - 1 }),
      fc.constantFrom([0], [48], [0, 48]),
      (fields, bit, copies) => {
        // Bytes 4 to 7 are unused padding, but the checksum covers them.
        const bytes = bothCopies(encodeWalIndexHeader(fields));
        for (const copy of copies) bytes[copy + (bit >> 3)] = (bytes[copy + (bit >> 3)] ?? 0) ^ (1 << (bit & 7));
        expect(decodeWalIndex(bytes)).toBeNull();
      },
    ),
  );
});

test("a short or empty wal-index is invalid", () => {
  expect(decodeWalIndex(new Uint8Array(135))).toBeNull();
  expect(decodeWalIndex(new Uint8Array(WAL_INDEX_HEADER_SIZE))).toBeNull();
});

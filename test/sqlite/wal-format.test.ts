import { readFileSync } from "node:fs";
import Database from "better-sqlite3";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import {
  checksumFrame,
  decodeFrameHeader,
  decodeWalHeader,
  encodeFrameHeader,
  encodeWalHeader,
  FRAME_HEADER_SIZE,
  frameOffset,
  isBigEndianWal,
  WAL_HEADER_SIZE,
  walChecksum,
} from "../../src/sqlite/wal-format.ts";
import { createDatabase } from "./application-database.ts";

/** The WAL that SQLite writes for a few commits. */
function realWal(pageSize: number): { wal: Buffer; pageCount: unknown } {
  const db = new Database(createDatabase(pageSize));
  onTestFinished(() => void db.close());
  db.pragma("wal_autocheckpoint = 0");
  for (let i = 0; i < 5; i++) db.exec("INSERT INTO t (a, b) VALUES (randomblob(9000), 'x')");
  return { wal: readFileSync(`${db.name}-wal`), pageCount: db.pragma("page_count", { simple: true }) };
}

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });

test.each([512, 4096, 65536])("SQLite's own WAL of %i-byte pages decodes with every checksum right", (pageSize) => {
  const { wal, pageCount } = realWal(pageSize);
  const header = decodeWalHeader(wal);
  expect(header?.pageSize).toBe(pageSize);
  const state = Uint32Array.of(header?.checksum1 ?? 0, header?.checksum2 ?? 0);
  const frames = (wal.length - WAL_HEADER_SIZE) / (FRAME_HEADER_SIZE + pageSize);
  let commits = 0;
  for (let frame = 1; frame <= frames; frame++) {
    const offset = frameOffset(frame, pageSize);
    const found = decodeFrameHeader(wal, offset);
    checksumFrame(wal, offset, pageSize, state);
    expect([found.checksum1, found.checksum2]).toEqual([...state]);
    expect([found.salt1, found.salt2]).toEqual([header?.salt1, header?.salt2]);
    if (found.commit > 0) commits++;
    if (frame === frames) expect(found.commit).toBe(pageCount);
  }
  expect(commits).toBe(5);
});

test("SQLite's own WAL is encoded byte for byte", () => {
  const { wal } = realWal(1024);
  const header = decodeWalHeader(wal);
  if (header === null) throw new Error("no header");
  const encoded = encodeWalHeader(1024, header.salt1, header.salt2);
  expect(encoded.header).toEqual(header);
  expect(Buffer.from(encoded.bytes)).toEqual(wal.subarray(0, WAL_HEADER_SIZE));
  const state = Uint32Array.of(header.checksum1, header.checksum2);
  const offset = frameOffset(1, 1024);
  const copy = Buffer.from(wal.subarray(offset, offset + FRAME_HEADER_SIZE + 1024));
  const { pgno, commit, salt1, salt2 } = decodeFrameHeader(copy, 0);
  copy.fill(0, 0, FRAME_HEADER_SIZE);
  encodeFrameHeader(copy, 0, { pgno, commit, salt1, salt2, pageSize: 1024 }, state);
  expect(copy).toEqual(wal.subarray(offset, offset + FRAME_HEADER_SIZE + 1024));
});

test("a header decodes to what was encoded, and any flipped bit makes it invalid", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(512, 4096, 65536),
      uint32,
      uint32,
      fc.nat({ max: 255 }),
      (pageSize, salt1, salt2, bit) => {
        const { bytes, header } = encodeWalHeader(pageSize, salt1, salt2);
        expect(decodeWalHeader(bytes)).toEqual({ ...header, pageSize, salt1, salt2 });
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(decodeWalHeader(bytes)).toBeNull();
      },
    ),
  );
});

test("a short header, and one of a big-endian WAL, are not decoded", () => {
  const { bytes } = encodeWalHeader(4096, 1, 2);
  expect(decodeWalHeader(bytes.subarray(0, 31))).toBeNull();
  expect(isBigEndianWal(bytes)).toBe(false);
  bytes[3] = 0x83;
  expect(decodeWalHeader(bytes)).toBeNull();
  expect(isBigEndianWal(bytes)).toBe(true);
  expect(isBigEndianWal(bytes.subarray(0, 3))).toBe(false);
});

test("the checksum does not depend on how the bytes are aligned or split", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 256 }), fc.nat({ max: 7 }), fc.nat(), (data, shift, cut) => {
      const length = data.length & ~7;
      const whole = Uint32Array.of(3, 4);
      walChecksum(data.slice(), 0, length, whole);
      const shifted = new Uint8Array(length + shift);
      shifted.set(data.subarray(0, length), shift);
      const moved = Uint32Array.of(3, 4);
      const first = (cut % (length / 8 + 1)) * 8;
      walChecksum(shifted, shift, first, moved);
      walChecksum(shifted, shift + first, length - first, moved);
      expect([...moved]).toEqual([...whole]);
    }),
  );
});

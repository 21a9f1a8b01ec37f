import { describe, expect, test } from "vitest";
import {
  decodeHeader,
  encodeHeader,
  HEADER_FLAG_NO_CHECKSUM,
  HEADER_SIZE,
  isSnapshot,
  type SegmentHeader,
} from "../../src/ltx/header.ts";
import { toChecksum, toTxid } from "../../src/ltx/position.ts";
import { headerOf, refusalOf, snapshotHeaderOf } from "./segment-spec.ts";

const full: SegmentHeader = {
  flags: 0,
  pageSize: 4096,
  commit: 0x01020304,
  minTxid: toTxid(0x1112131415161718n),
  maxTxid: toTxid(0x2122232425262728n),
  timestampMs: 0x313233343536,
  preApplyChecksum: toChecksum(0xc1c2c3c4c5c6c7c8n),
  walOffset: 0x5152535455565758n,
  walSize: 0x6162636465666768n,
  walSalt1: 0x71727374,
  walSalt2: 0x81828384,
  nodeId: 0x9192939495969798n,
};

const fullHex = [
  "4c545831",
  "00000000",
  "00001000",
  "01020304",
  "1112131415161718",
  "2122232425262728",
  "0000313233343536",
  "c1c2c3c4c5c6c7c8",
  "5152535455565758",
  "6162636465666768",
  "71727374",
  "81828384",
  "9192939495969798",
  "0000000000000000000000000000000000000000",
].join("");

test("a header has exactly the bytes of the format's table", () => {
  const bytes = encodeHeader(full);
  expect(bytes.length).toBe(HEADER_SIZE);
  expect(Buffer.from(bytes).toString("hex")).toBe(fullHex);
  expect(decodeHeader(bytes)).toEqual(full);
});

test("a header is read from the beginning of longer bytes", () => {
  expect(decodeHeader(Buffer.from(`${fullHex}abcdef`, "hex"))).toEqual(full);
});

test("a time before 1970 survives", () => {
  expect(decodeHeader(encodeHeader(headerOf({ timestampMs: -1 }))).timestampMs).toBe(-1);
});

test("reserved bytes are not looked at", () => {
  const bytes = encodeHeader(full);
  bytes.fill(0xff, 80);
  expect(decodeHeader(bytes)).toEqual(full);
});

test("a segment that begins with transaction 1 is a snapshot", () => {
  expect(isSnapshot(snapshotHeaderOf())).toBe(true);
  expect(isSnapshot(headerOf())).toBe(false);
});

test("every page size that SQLite has is accepted", () => {
  for (let pageSize = 512; pageSize <= 65_536; pageSize *= 2) {
    expect(decodeHeader(encodeHeader(headerOf({ pageSize }))).pageSize).toBe(pageSize);
  }
});

test("bytes that do not begin with LTX1 are refused", () => {
  const bytes = encodeHeader(full);
  bytes[3] = 0x32;
  expect(refusalOf(() => decodeHeader(bytes))).toBe("SEGMENT_MAGIC");
});

test("a header that is cut off is refused", () => {
  expect(refusalOf(() => decodeHeader(encodeHeader(full).subarray(0, 99)))).toBe("SEGMENT_TRUNCATED");
});

describe("SEGMENT_HEADER refuses", () => {
  const faults: Record<string, Partial<SegmentHeader>> = {
    "an unknown flag": { flags: 1 },
    "a page size below 512": { pageSize: 256 },
    "a page size above 65536": { pageSize: 131_072 },
    "a page size that is no power of two": { pageSize: 4095 },
    "more pages than SQLite can have": { commit: 0xffff_ffff },
    "a first transaction of 0": { minTxid: toTxid(0n) },
    "a last transaction before the first": { minTxid: toTxid(9n), maxTxid: toTxid(8n) },
    "a time beyond what a date can show": { timestampMs: 8_640_000_000_000_001 },
    "a WAL size without an offset": { walSize: 1n },
    "a WAL salt without an offset": { walSalt2: 1 },
    "a snapshot with a checksum before it": { minTxid: toTxid(1n) },
    "a checksum where none is tracked": { flags: HEADER_FLAG_NO_CHECKSUM },
    "no checksum before a change": { preApplyChecksum: toChecksum(0n) },
    "a checksum without its highest bit": { preApplyChecksum: toChecksum(1n) },
  };

  test.each(Object.entries(faults))("%s, on both sides", (_, change) => {
    const header = headerOf(change);
    expect(refusalOf(() => encodeHeader(header))).toBe("SEGMENT_HEADER");
    expect(refusalOf(() => decodeHeader(bytesWithoutChecks(header)))).toBe("SEGMENT_HEADER");
  });

  test.each([
    ["a last transaction beyond 2^63", 24],
    ["a negative WAL offset", 48],
    ["a negative WAL size", 56],
  ])("%s", (_, offset) => {
    const bytes = encodeHeader(headerOf({ walOffset: 32n }));
    bytes[offset] = 0x80;
    expect(refusalOf(() => decodeHeader(bytes))).toBe("SEGMENT_HEADER");
  });
});

/** The bytes of a header that the encoder refuses. */
function bytesWithoutChecks(header: SegmentHeader): Uint8Array {
  const bytes = encodeHeader(headerOf());
  const view = new DataView(bytes.buffer);
  view.setUint32(4, header.flags);
  view.setUint32(8, header.pageSize);
  view.setUint32(12, header.commit);
  view.setBigUint64(16, header.minTxid);
  view.setBigUint64(24, header.maxTxid);
  view.setBigInt64(32, BigInt(header.timestampMs));
  view.setBigUint64(40, header.preApplyChecksum);
  view.setBigInt64(48, header.walOffset);
  view.setBigInt64(56, header.walSize);
  view.setUint32(64, header.walSalt1);
  view.setUint32(68, header.walSalt2);
  return bytes;
}

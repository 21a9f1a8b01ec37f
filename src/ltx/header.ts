/**
 * The segment header (superfly/ltx README, "Header"; rules of Header.Validate in ltx.go). All integers are big-endian.
 *
 * | offset | size | field            |
 * | ------ | ---- | ---------------- |
 * | 0      | 4    | magic `LTX1`     |
 * | 4      | 4    | flags            |
 * | 8      | 4    | pageSize         |
 * | 12     | 4    | commit           |
 * | 16     | 8    | minTxid          |
 * | 24     | 8    | maxTxid          |
 * | 32     | 8    | timestampMs      |
 * | 40     | 8    | preApplyChecksum |
 * | 48     | 8    | walOffset        |
 * | 56     | 8    | walSize          |
 * | 64     | 4    | walSalt1         |
 * | 68     | 4    | walSalt2         |
 * | 72     | 8    | nodeId           |
 * | 80     | 20   | reserved, zero   |
 */
import type { ByteSource } from "./byte-io.ts";
import { isPageSize } from "./page-size.ts";
import { CHECKSUM_FLAG, type Checksum, type Txid } from "./position.ts";
import { SegmentError } from "./segment-error.ts";

export const HEADER_SIZE = 100;

/** The database checksums are not tracked and are zero. The only header flag of version 3. */
export const HEADER_FLAG_NO_CHECKSUM = 2;

/** `LTX1`. Versions 2 and 3 share it; Afterimage only reads and writes version 3. */
const MAGIC = 0x4c54_5831;
const OFFSET = {
  magic: 0,
  flags: 4,
  pageSize: 8,
  commit: 12,
  minTxid: 16,
  maxTxid: 24,
  timestampMs: 32,
  preApplyChecksum: 40,
  walOffset: 48,
  walSize: 56,
  walSalt1: 64,
  walSalt2: 68,
  nodeId: 72,
} as const;

/** SQLite's largest database, in pages. */
const MAX_COMMIT = 0xffff_fffe;
const MAX_INT64 = 0x7fff_ffff_ffff_ffffn;
/** The range of Date, so that a timestamp can always be shown. */
const MAX_TIMESTAMP_MS = 8_640_000_000_000_000;

export interface SegmentHeader {
  /** 0 or {@link HEADER_FLAG_NO_CHECKSUM}. */
  readonly flags: number;
  /** Bytes: a power of two, 512 to 65536. */
  readonly pageSize: number;
  /** Size of the database after the segment, in pages. 0: the database was deleted. */
  readonly commit: number;
  readonly minTxid: Txid;
  readonly maxTxid: Txid;
  /** Milliseconds since 1970, UTC. */
  readonly timestampMs: number;
  /** Database checksum before the segment. 0 in snapshots and where checksums are not tracked. */
  readonly preApplyChecksum: Checksum;
  /** Byte offset in the WAL, 0 when the segment does not come from a WAL. */
  readonly walOffset: bigint;
  /** Bytes of the WAL from {@link walOffset} on, 0 when unknown. */
  readonly walSize: bigint;
  readonly walSalt1: number;
  readonly walSalt2: number;
  /** 0 when unset. */
  readonly nodeId: bigint;
}

/** A snapshot begins with the first transaction and holds every page of the database. */
export function isSnapshot(header: SegmentHeader): boolean {
  return header.minTxid === 1n;
}

export function tracksChecksums(header: SegmentHeader): boolean {
  return (header.flags & HEADER_FLAG_NO_CHECKSUM) === 0;
}

/** The 100 bytes of `header`. @throws SegmentError SEGMENT_HEADER when it breaks a rule of the format. */
export function encodeHeader(header: SegmentHeader): Uint8Array {
  validateHeader(header);
  const bytes = new Uint8Array(HEADER_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(OFFSET.magic, MAGIC);
  view.setUint32(OFFSET.flags, header.flags);
  view.setUint32(OFFSET.pageSize, header.pageSize);
  view.setUint32(OFFSET.commit, header.commit);
  view.setBigUint64(OFFSET.minTxid, header.minTxid);
  view.setBigUint64(OFFSET.maxTxid, header.maxTxid);
  view.setBigInt64(OFFSET.timestampMs, BigInt(header.timestampMs));
  view.setBigUint64(OFFSET.preApplyChecksum, header.preApplyChecksum);
  view.setBigInt64(OFFSET.walOffset, header.walOffset);
  view.setBigInt64(OFFSET.walSize, header.walSize);
  view.setUint32(OFFSET.walSalt1, header.walSalt1);
  view.setUint32(OFFSET.walSalt2, header.walSalt2);
  view.setBigUint64(OFFSET.nodeId, header.nodeId);
  return bytes;
}

/**
 * Reads the header from the first 100 bytes of `bytes`. The reserved bytes are not looked at, as in the reference.
 * @throws SegmentError SEGMENT_TRUNCATED, SEGMENT_MAGIC or SEGMENT_HEADER.
 */
export function decodeHeader(bytes: Uint8Array, path?: string): SegmentHeader {
  if (bytes.length < HEADER_SIZE) {
    throw new SegmentError("SEGMENT_TRUNCATED", `the header is cut off after ${bytes.length} bytes`, { path });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_SIZE);
  if (view.getUint32(OFFSET.magic) !== MAGIC) {
    throw new SegmentError("SEGMENT_MAGIC", "the file does not begin with LTX1", { offset: 0, path });
  }
  const header: SegmentHeader = {
    flags: view.getUint32(OFFSET.flags),
    pageSize: view.getUint32(OFFSET.pageSize),
    commit: view.getUint32(OFFSET.commit),
    minTxid: view.getBigUint64(OFFSET.minTxid) as Txid,
    maxTxid: view.getBigUint64(OFFSET.maxTxid) as Txid,
    timestampMs: Number(view.getBigInt64(OFFSET.timestampMs)),
    preApplyChecksum: view.getBigUint64(OFFSET.preApplyChecksum) as Checksum,
    walOffset: view.getBigInt64(OFFSET.walOffset),
    walSize: view.getBigInt64(OFFSET.walSize),
    walSalt1: view.getUint32(OFFSET.walSalt1),
    walSalt2: view.getUint32(OFFSET.walSalt2),
    nodeId: view.getBigUint64(OFFSET.nodeId),
  };
  validateHeader(header, path);
  return header;
}

/** {@link decodeHeader} of a whole segment, of which nothing else is read. */
export function readHeader(source: ByteSource): SegmentHeader {
  const bytes = new Uint8Array(HEADER_SIZE);
  return decodeHeader(bytes.subarray(0, source.read(bytes, 0)), source.path);
}

/** @throws SegmentError SEGMENT_HEADER that names the first field that breaks a rule. */
export function validateHeader(header: SegmentHeader, path?: string): void {
  const fault = fieldFault(header) ?? checksumFault(header);
  if (fault === null) return;
  const [field, message] = fault;
  throw new SegmentError("SEGMENT_HEADER", message, { offset: OFFSET[field], path });
}

type Fault = readonly [keyof typeof OFFSET, string];

function fieldFault(h: SegmentHeader): Fault | null {
  if (h.flags !== 0 && h.flags !== HEADER_FLAG_NO_CHECKSUM) return ["flags", `unknown header flags ${h.flags}`];
  if (!isPageSize(h.pageSize)) return ["pageSize", `not a page size: ${h.pageSize}`];
  if (!isIntegerUpTo(h.commit, MAX_COMMIT)) return ["commit", `not a database size in pages: ${h.commit}`];
  if (!isInt64From(h.minTxid, 1n)) return ["minTxid", `not a first transaction: ${h.minTxid}`];
  if (!isInt64From(h.maxTxid, h.minTxid)) return ["maxTxid", `transactions ${h.minTxid} to ${h.maxTxid}`];
  if (!Number.isInteger(h.timestampMs) || Math.abs(h.timestampMs) > MAX_TIMESTAMP_MS) {
    return ["timestampMs", `not a time in milliseconds: ${h.timestampMs}`];
  }
  if (!isInt64From(h.walOffset, 0n)) return ["walOffset", `not an offset in a WAL: ${h.walOffset}`];
  if (!isInt64From(h.walSize, 0n)) return ["walSize", `not a size of a WAL: ${h.walSize}`];
  if (!isIntegerUpTo(h.walSalt1, 0xffff_ffff)) return ["walSalt1", `not a salt: ${h.walSalt1}`];
  if (!isIntegerUpTo(h.walSalt2, 0xffff_ffff)) return ["walSalt2", `not a salt: ${h.walSalt2}`];
  if (h.walOffset === 0n && (h.walSize !== 0n || h.walSalt1 !== 0 || h.walSalt2 !== 0)) {
    return ["walOffset", "a WAL size or salt without a WAL offset"];
  }
  if (h.nodeId < 0n || h.nodeId > 0xffff_ffff_ffff_ffffn) return ["nodeId", `not a node ID: ${h.nodeId}`];
  return null;
}

function checksumFault(h: SegmentHeader): Fault | null {
  const absent = isSnapshot(h) || !tracksChecksums(h);
  if (absent && h.preApplyChecksum !== 0n) {
    return ["preApplyChecksum", `a checksum before ${isSnapshot(h) ? "the first transaction" : "untracked changes"}`];
  }
  if (!absent && !isTrackedChecksum(h.preApplyChecksum)) {
    return ["preApplyChecksum", `not a database checksum: ${h.preApplyChecksum.toString(16)}`];
  }
  return null;
}

/** A database checksum where they are tracked: 64 bits, the highest one set. */
export function isTrackedChecksum(value: bigint): boolean {
  return value >= CHECKSUM_FLAG && value <= 0xffff_ffff_ffff_ffffn;
}

function isIntegerUpTo(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

function isInt64From(value: bigint, min: bigint): boolean {
  return value >= min && value <= MAX_INT64;
}

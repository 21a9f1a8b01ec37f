/** Segments as literals for tests: well-formed ones through the encoder, and malformed ones put together field by field. */
import { MemorySource } from "../../src/ltx/byte-io.ts";
import { newRegister, updateRegister } from "../../src/ltx/crc64.ts";
import type { SegmentHeader } from "../../src/ltx/header.ts";
import { compressBlock, lz4Bound } from "../../src/ltx/lz4.ts";
import { checksumOfRegister, halvesToChecksum, pageChecksum } from "../../src/ltx/page-checksum.ts";
import { CHECKSUM_FLAG, type Checksum, toChecksum, toTxid } from "../../src/ltx/position.ts";
import { SegmentDecoder } from "../../src/ltx/segment-decoder.ts";
import { SegmentEncoder } from "../../src/ltx/segment-encoder.ts";
import { SegmentError } from "../../src/ltx/segment-error.ts";
import type { SegmentTrailer } from "../../src/ltx/trailer.ts";

export interface PageSpec {
  readonly pgno: number;
  readonly data: Uint8Array;
}

export interface SegmentSpec {
  readonly header: SegmentHeader;
  readonly pages: readonly PageSpec[];
  readonly postApplyChecksum: Checksum;
}

/** A non-snapshot header of a database of 4 pages of 512 bytes. */
export function headerOf(changes: Partial<SegmentHeader> = {}): SegmentHeader {
  return {
    flags: 0,
    pageSize: 512,
    commit: 4,
    minTxid: toTxid(5n),
    maxTxid: toTxid(6n),
    timestampMs: 1_700_000_000_000,
    preApplyChecksum: toChecksum(CHECKSUM_FLAG | 1n),
    walOffset: 0n,
    walSize: 0n,
    walSalt1: 0,
    walSalt2: 0,
    nodeId: 0n,
    ...changes,
  };
}

export function snapshotHeaderOf(changes: Partial<SegmentHeader> = {}): SegmentHeader {
  return headerOf({ minTxid: toTxid(1n), preApplyChecksum: toChecksum(0n), ...changes });
}

/** The database checksum of `pages`, one by one, as LTX defines it. */
export function databaseChecksum(pages: Iterable<PageSpec>): Checksum {
  let sum = 0n;
  const halves = new Uint32Array(2);
  for (const { pgno, data } of pages) {
    pageChecksum(pgno, data, halves);
    sum ^= halvesToChecksum(halves[0] ?? 0, halves[1] ?? 0);
  }
  return toChecksum(sum | CHECKSUM_FLAG);
}

/** Compressible data that differs for each page and seed. */
export function patterned(pgno: number, pageSize: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length: pageSize }, (_, i) =>
    i % 7 === 0 ? (i * 31 + pgno * 17 + seed) & 0xff : pgno & 0xff,
  );
}

export function encodeSegment(spec: SegmentSpec): Uint8Array {
  const parts: Uint8Array[] = [];
  const encoder = new SegmentEncoder({ write: (bytes) => void parts.push(bytes.slice()) }, spec.header);
  for (const page of spec.pages) encoder.writePage(page.pgno, page.data);
  encoder.finish(spec.postApplyChecksum);
  return concat(parts);
}

export interface DecodedSegment {
  readonly header: SegmentHeader;
  readonly pages: PageSpec[];
  readonly trailer: SegmentTrailer;
}

export function decodeSegment(bytes: Uint8Array): DecodedSegment {
  const decoder = new SegmentDecoder(new MemorySource(bytes));
  const pages: PageSpec[] = [];
  for (let page = decoder.next(); page !== null; page = decoder.next()) {
    pages.push({ pgno: page.pgno, data: page.data.slice() });
  }
  return { header: decoder.header, pages, trailer: decoder.finish() };
}

/** The code of the SegmentError that `action` throws, or "none". Other errors are passed on. */
export function refusalOf(action: () => unknown): string {
  try {
    action();
    return "none";
  } catch (error) {
    if (error instanceof SegmentError) return error.code;
    throw error;
  }
}

/** A page frame as stored, and what its payload stands for in the file checksum. */
export interface RawFrame {
  readonly pgno: number;
  readonly flags: number;
  /** Null: no size field. */
  readonly size: number | null;
  readonly payload: Uint8Array;
  readonly data: Uint8Array;
}

/** A segment field by field; whatever the fields say, its file checksum is right unless one is given. */
export interface RawSegment {
  readonly header: Uint8Array;
  readonly frames: readonly RawFrame[];
  readonly index: readonly (readonly [pgno: number, offset: number, length: number])[];
  /** Null: as the index is. */
  readonly indexSize: bigint | null;
  readonly postApplyChecksum: bigint;
  readonly fileChecksum: bigint | null;
  readonly trailing: Uint8Array;
}

/** `data` as one LZ4 block. */
export function compressed(data: Uint8Array): Uint8Array {
  const target = new Uint8Array(lz4Bound(data.length));
  return target.subarray(0, compressBlock(data, target, 0));
}

export function rawFrame(pgno: number, data: Uint8Array): RawFrame {
  const payload = compressed(data);
  return { pgno, flags: 1, size: payload.length, payload, data };
}

/** A raw segment with the right index for its frames. */
export function rawSegment(header: Uint8Array, frames: readonly RawFrame[], postApplyChecksum: bigint): RawSegment {
  let offset = header.length;
  const index = frames.map((frame) => {
    const length = frameHead(frame).length + frame.payload.length;
    offset += length;
    return [frame.pgno, offset - length, length] as const;
  });
  return { header, frames, index, indexSize: null, postApplyChecksum, fileChecksum: null, trailing: new Uint8Array(0) };
}

export function assemble(raw: RawSegment): Uint8Array {
  const covered: Uint8Array[] = [raw.header];
  const stored: Uint8Array[] = [raw.header];
  const both = (bytes: Uint8Array) => {
    covered.push(bytes);
    stored.push(bytes);
  };
  for (const frame of raw.frames) {
    both(frameHead(frame));
    covered.push(frame.data);
    stored.push(frame.payload);
  }
  both(new Uint8Array(6));
  const index = Uint8Array.from([...raw.index.flat().flatMap(uvarint), 0]);
  both(index);
  both(uint64(raw.indexSize ?? BigInt(index.length)));
  both(uint64(raw.postApplyChecksum));
  stored.push(uint64(raw.fileChecksum ?? crc64(concat(covered))), raw.trailing);
  return concat(stored);
}

/** CRC-64/ISO of `bytes`, bit 63 set. */
export function crc64(bytes: Uint8Array): bigint {
  const register = newRegister();
  updateRegister(register, bytes, 0, bytes.length);
  const halves = new Uint32Array(2);
  checksumOfRegister(register, halves);
  return halvesToChecksum(halves[0] ?? 0, halves[1] ?? 0);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function frameHead(frame: RawFrame): Uint8Array {
  const head = new Uint8Array(frame.size === null ? 6 : 10);
  const view = new DataView(head.buffer);
  view.setUint32(0, frame.pgno);
  view.setUint16(4, frame.flags);
  if (frame.size !== null) view.setUint32(6, frame.size);
  return head;
}

function uvarint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}

function uint64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

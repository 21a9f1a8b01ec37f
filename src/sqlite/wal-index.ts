/**
 * The wal-index (`-shm`) header: what SQLite's connections share about the WAL.
 * Source: SQLite WAL-mode file format, section 2 (sqlite.org/walformat.html), and wal.c.
 *
 * Bytes 0..47 and 48..95 hold the same header twice; 96..135 hold checkpoint state and locks. Integers are in the
 * machine's order, little-endian on every platform that Afterimage runs on; the salts are copied as big-endian bytes.
 */
import { walChecksum } from "./wal-format.ts";

export const WAL_INDEX_HEADER_SIZE = 136;
/** One of the two header copies. */
export const WAL_INDEX_COPY_SIZE = 48;
/** Byte of `-shm` that WAL_WRITE_LOCK locks. */
export const WAL_WRITE_LOCK_BYTE = 120;

const WAL_INDEX_VERSION = 3007000;

export interface WalIndexHeader {
  /** Counts transactions; starts again when the wal-index is rebuilt. */
  readonly change: number;
  readonly pageSize: number;
  /** Number of the last committed frame; 0 when the WAL holds none. */
  readonly maxFrame: number;
  /** Database size in pages. */
  readonly pageCount: number;
  /** WAL checksum at `maxFrame`. */
  readonly checksum1: number;
  readonly checksum2: number;
  readonly salt1: number;
  readonly salt2: number;
}

/** The header together with how many frames a checkpoint has copied into the database file. */
export interface WalIndexState extends WalIndexHeader {
  readonly backfilled: number;
  /** How many the last checkpoint meant to copy: it says so before it begins. */
  readonly backfillBegun: number;
}

/**
 * Decodes the first 136 bytes of `-shm`. Null when the two copies differ, a checksum is wrong, or the index is not
 * initialised: a writer is at work or has died; read again, or let SQLite recover.
 */
export function decodeWalIndex(bytes: Uint8Array): WalIndexState | null {
  if (bytes.length < WAL_INDEX_HEADER_SIZE) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, WAL_INDEX_HEADER_SIZE);
  for (let i = 0; i < WAL_INDEX_COPY_SIZE; i += 4) {
    if (view.getUint32(i) !== view.getUint32(WAL_INDEX_COPY_SIZE + i)) return null;
  }
  if (view.getUint32(0, true) !== WAL_INDEX_VERSION || view.getUint8(12) !== 1 || view.getUint8(13) !== 0) return null;
  const state = new Uint32Array(2);
  walChecksum(bytes, 0, 40, state);
  if (state[0] !== view.getUint32(40, true) || state[1] !== view.getUint32(44, true)) return null;
  const size = view.getUint16(14, true);
  return {
    change: view.getUint32(8, true),
    pageSize: (size & 0xfe00) + ((size & 1) << 16),
    maxFrame: view.getUint32(16, true),
    pageCount: view.getUint32(20, true),
    checksum1: view.getUint32(24, true),
    checksum2: view.getUint32(28, true),
    salt1: view.getUint32(32),
    salt2: view.getUint32(36),
    backfilled: view.getUint32(96, true),
    backfillBegun: view.getUint32(128, true),
  };
}

/** Encodes one 48-byte copy of the header. Write it at offset 48 first, then at 0 (wal.c, walIndexWriteHdr). */
export function encodeWalIndexHeader(header: WalIndexHeader): Uint8Array {
  const bytes = new Uint8Array(WAL_INDEX_COPY_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, WAL_INDEX_VERSION, true);
  view.setUint32(8, header.change, true);
  view.setUint8(12, 1);
  view.setUint8(13, 0);
  view.setUint16(14, (header.pageSize & 0xff00) | (header.pageSize >>> 16), true);
  view.setUint32(16, header.maxFrame, true);
  view.setUint32(20, header.pageCount, true);
  view.setUint32(24, header.checksum1, true);
  view.setUint32(28, header.checksum2, true);
  view.setUint32(32, header.salt1);
  view.setUint32(36, header.salt2);
  const state = new Uint32Array(2);
  walChecksum(bytes, 0, 40, state);
  view.setUint32(40, state[0] ?? 0, true);
  view.setUint32(44, state[1] ?? 0, true);
  return bytes;
}

/** Entries of a block's page-number array: the first block shares its array's space with the 136-byte header. */
const FIRST_BLOCK_ENTRIES = 4062;
const BLOCK_ENTRIES = 4096;
const BLOCK_SIZE = 32768;

/**
 * Where `-shm` lists the pages of frames 1 to `maxFrame`, four bytes each, little-endian, in WAL order: byte offset and
 * number of entries of each stretch (sqlite.org/walformat.html, section 2.2).
 */
export function* walIndexEntries(maxFrame: number): Generator<{ offset: number; count: number }> {
  let left = maxFrame;
  for (let block = 0; left > 0; block++) {
    const count = Math.min(left, block === 0 ? FIRST_BLOCK_ENTRIES : BLOCK_ENTRIES);
    yield { offset: block * BLOCK_SIZE + (block === 0 ? WAL_INDEX_HEADER_SIZE : 0), count };
    left -= count;
  }
}

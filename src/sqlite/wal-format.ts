/**
 * The bytes of SQLite's write-ahead log: file header, frame header, and the checksum that chains them.
 * Source: SQLite file format, section 4 "The Write-Ahead Log" (sqlite.org/fileformat2.html#walformat).
 *
 * Header fields are big-endian. The checksum adds 32-bit words in the byte order that the magic number names; Afterimage
 * writes, and on its platforms meets, little-endian words (magic 0x377f0682).
 */

export const WAL_HEADER_SIZE = 32;
export const FRAME_HEADER_SIZE = 24;

const MAGIC_LITTLE_ENDIAN = 0x377f0682;
const MAGIC_BIG_ENDIAN = 0x377f0683;
const FORMAT_VERSION = 3007000;

/** WAL checksum state: [s0, s1], unsigned. It starts at [0, 0] and runs through header and frames. */
export type WalChecksum = Uint32Array;

export interface WalHeader {
  /** Bytes a page, 512 to 65536. */
  readonly pageSize: number;
  readonly salt1: number;
  readonly salt2: number;
  /** Checksum of the header: the state from which frame 1 goes on. */
  readonly checksum1: number;
  readonly checksum2: number;
}

export interface FrameHeader {
  readonly pgno: number;
  /** Database size in pages after the commit that this frame ends; 0 for a frame inside a transaction. */
  readonly commit: number;
  readonly salt1: number;
  readonly salt2: number;
  readonly checksum1: number;
  readonly checksum2: number;
}

/** Where a reader of the WAL stands: after `frame` frames of the generation that the salts name. */
export interface WalPosition {
  readonly salt1: number;
  readonly salt2: number;
  /** Frames read so far; 0 right after the header. */
  readonly frame: number;
  /** Running checksum after that frame (after the header when `frame` is 0). */
  readonly checksum1: number;
  readonly checksum2: number;
}

/** Byte offset of frame `frame` (1-based) in the WAL file. */
export function frameOffset(frame: number, pageSize: number): number {
  return WAL_HEADER_SIZE + (frame - 1) * (FRAME_HEADER_SIZE + pageSize);
}

/**
 * Runs the WAL checksum over `length` bytes (a multiple of 8) from `offset`, starting at and updating `state`.
 * Aligned input is read as a 32-bit array, which is several times faster than DataView.
 */
export function walChecksum(bytes: Uint8Array, offset: number, length: number, state: WalChecksum): void {
  let s0 = state[0] ?? 0;
  let s1 = state[1] ?? 0;
  const start = bytes.byteOffset + offset;
  if (start % 4 === 0) {
    const words = new Int32Array(bytes.buffer, start, length >> 2);
    for (let i = 0; i < words.length; i += 2) {
      s0 = (s0 + (words[i] as number) + s1) | 0;
      s1 = (s1 + (words[i + 1] as number) + s0) | 0;
    }
  } else {
    const view = new DataView(bytes.buffer, start, length);
    for (let i = 0; i < length; i += 8) {
      s0 = (s0 + view.getInt32(i, true) + s1) | 0;
      s1 = (s1 + view.getInt32(i + 4, true) + s0) | 0;
    }
  }
  state[0] = s0;
  state[1] = s1;
}

/** Decodes the 32-byte WAL header; null when it is not a valid little-endian header. */
export function decodeWalHeader(bytes: Uint8Array): WalHeader | null {
  if (bytes.length < WAL_HEADER_SIZE) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, WAL_HEADER_SIZE);
  if (view.getUint32(0) !== MAGIC_LITTLE_ENDIAN || view.getUint32(4) !== FORMAT_VERSION) return null;
  const state = new Uint32Array(2);
  walChecksum(bytes, 0, 24, state);
  const checksum1 = view.getUint32(24);
  const checksum2 = view.getUint32(28);
  if (state[0] !== checksum1 || state[1] !== checksum2) return null;
  return { pageSize: view.getUint32(8), salt1: view.getUint32(16), salt2: view.getUint32(20), checksum1, checksum2 };
}

/** Whether the bytes start with the magic of a WAL whose checksums use big-endian words (made on such a machine). */
export function isBigEndianWal(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) === MAGIC_BIG_ENDIAN;
}

/** Encodes a WAL header and returns it with its checksum filled in. */
export function encodeWalHeader(
  pageSize: number,
  salt1: number,
  salt2: number,
): { bytes: Uint8Array; header: WalHeader } {
  const bytes = new Uint8Array(WAL_HEADER_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC_LITTLE_ENDIAN);
  view.setUint32(4, FORMAT_VERSION);
  view.setUint32(8, pageSize);
  view.setUint32(12, 0); // checkpoint sequence number: informational
  view.setUint32(16, salt1);
  view.setUint32(20, salt2);
  const state = new Uint32Array(2);
  walChecksum(bytes, 0, 24, state);
  const [checksum1 = 0, checksum2 = 0] = state;
  view.setUint32(24, checksum1);
  view.setUint32(28, checksum2);
  return { bytes, header: { pageSize, salt1, salt2, checksum1, checksum2 } };
}

/** Decodes the frame header at `offset`. */
export function decodeFrameHeader(bytes: Uint8Array, offset: number): FrameHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, FRAME_HEADER_SIZE);
  return {
    pgno: view.getUint32(0),
    commit: view.getUint32(4),
    salt1: view.getUint32(8),
    salt2: view.getUint32(12),
    checksum1: view.getUint32(16),
    checksum2: view.getUint32(20),
  };
}

/**
 * Writes the header of the frame at `offset`, whose page data already follows it, and advances `state` over the frame.
 * `commit` is 0 except on the last frame of a transaction.
 */
export function encodeFrameHeader(
  bytes: Uint8Array,
  offset: number,
  frame: { pgno: number; commit: number; salt1: number; salt2: number; pageSize: number },
  state: WalChecksum,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, FRAME_HEADER_SIZE);
  view.setUint32(0, frame.pgno);
  view.setUint32(4, frame.commit);
  view.setUint32(8, frame.salt1);
  view.setUint32(12, frame.salt2);
  checksumFrame(bytes, offset, frame.pageSize, state);
  view.setUint32(16, state[0] ?? 0);
  view.setUint32(20, state[1] ?? 0);
}

/** Advances `state` over the frame at `offset`: the first 8 bytes of its header, then its page. */
export function checksumFrame(bytes: Uint8Array, offset: number, pageSize: number, state: WalChecksum): void {
  walChecksum(bytes, offset, 8, state);
  walChecksum(bytes, offset + FRAME_HEADER_SIZE, pageSize, state);
}

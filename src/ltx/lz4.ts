/**
 * LZ4: the block format, and as much of the frame format as older LTX files use (lz4/doc: lz4_Block_format.md,
 * lz4_Frame_format.md).
 *
 * Compression is native. Decompression is JavaScript: it writes into a buffer that exists already, which is faster than a
 * native call that allocates one for each page, and its worst outcome with hostile data is a wrong page, which the file
 * checksum refuses.
 */
import lz4 from "lz4-napi";

/** Length of the size that the compressor puts before a block, and that LTX does not have. */
export const SIZE_PREFIX = 4;

const MIN_MATCH = 4;
/** Shorter runs are copied byte by byte: a call costs more. */
const LONG_COPY = 32;

/** Largest compressed size of `size` bytes in the block format. */
export function lz4Bound(size: number): number {
  return size + Math.floor(size / 255) + 16;
}

/** Compresses `data` to one block, which begins at byte {@link SIZE_PREFIX} of the result. */
export function compressBlock(data: Uint8Array): Buffer {
  return lz4.compressSync(Buffer.from(data.buffer, data.byteOffset, data.length));
}

/**
 * Decompresses the block `source[start..end)` to `target`, from index `from` on; a match may reach back before `from`.
 * Returns the index after the last byte written, or -1 when the block is malformed or does not fit.
 */
export function decompressBlock(source: Uint8Array, start: number, end: number, target: Uint8Array, from = 0): number {
  let at = start;
  let out = from;
  while (at < end) {
    const token = source[at++] as number;
    let literals = token >>> 4;
    if (literals === 15) {
      let more: number;
      do {
        if (at >= end) return -1;
        more = source[at++] as number;
        literals += more;
      } while (more === 255);
    }
    if (literals > end - at || literals > target.length - out) return -1;
    if (literals > LONG_COPY) {
      target.set(source.subarray(at, at + literals), out);
      at += literals;
      out += literals;
    } else {
      for (const stop = out + literals; out < stop; ) target[out++] = source[at++] as number;
    }
    // A block ends with literals: there is no match after the last run.
    if (at === end) return out;
    if (end - at < 2) return -1;
    const distance = (source[at] as number) | ((source[at + 1] as number) << 8);
    at += 2;
    let length = (token & 15) + MIN_MATCH;
    if (length === 15 + MIN_MATCH) {
      let more: number;
      do {
        if (at >= end) return -1;
        more = source[at++] as number;
        length += more;
      } while (more === 255);
    }
    if (distance === 0 || distance > out || length > target.length - out) return -1;
    let match = out - distance;
    if (distance >= length && length > LONG_COPY) {
      target.copyWithin(out, match, match + length);
      out += length;
    } else {
      // Byte by byte on purpose: an overlapping match repeats what it has just written.
      for (const stop = out + length; out < stop; ) target[out++] = target[match++] as number;
    }
  }
  return -1;
}

/**
 * Page data as an LZ4 frame: how LTX files were written before page frames had a size field. Only read, never written.
 *
 * | size  | field                                                                   |
 * | ----- | ----------------------------------------------------------------------- |
 * | 4     | magic 0x184d2204, little-endian                                         |
 * | 2     | FLG and BD                                                              |
 * | 0 / 8 | content size, with FLG bit 3                                            |
 * | 1     | header checksum                                                         |
 * | n     | blocks: size (4, little-endian; bit 31: not compressed), data, checksum (4, with FLG bit 4) |
 * | 4     | end mark, zero                                                          |
 * | 0 / 4 | content checksum, with FLG bit 2                                        |
 *
 * The frame's own checksums are skipped: the page's data is covered by the file checksum.
 */
import type { ByteWindow } from "./byte-window.ts";
import { decompressBlock, lz4Bound } from "./lz4.ts";

const MAGIC = 0x184d_2204;
const DESCRIPTOR_BYTES = 6;
const FLAG_BLOCK_CHECKSUM = 0x10;
const FLAG_CONTENT_SIZE = 0x08;
const FLAG_CONTENT_CHECKSUM = 0x04;
/** Version 01, no dictionary, reserved bit clear. */
const FLAGS_FIXED_MASK = 0xc3;
const FLAGS_FIXED = 0x40;
const NOT_COMPRESSED = 0x8000_0000;
const SECTION = "LZ4 frame of a page";

/** Consumes one frame, which must hold exactly `target.length` bytes. Returns what is wrong with it, or null. */
export function readLz4Frame(window: ByteWindow, target: Uint8Array): string | null {
  const start = window.require(DESCRIPTOR_BYTES, SECTION);
  if (window.view.getUint32(start, true) !== MAGIC) return "neither a size field nor an LZ4 frame";
  const flags = window.view.getUint8(start + 4);
  if ((flags & FLAGS_FIXED_MASK) !== FLAGS_FIXED) return `LZ4 frame flags ${flags}`;
  window.consume(DESCRIPTOR_BYTES);
  skip(window, 1 + ((flags & FLAG_CONTENT_SIZE) === 0 ? 0 : 8));

  let filled = 0;
  for (;;) {
    const size = window.view.getUint32(window.require(4, SECTION), true);
    window.consume(4);
    if (size === 0) break;
    filled = readBlock(window, size, target, filled);
    if (filled < 0) return "the LZ4 frame does not hold one page";
    if ((flags & FLAG_BLOCK_CHECKSUM) !== 0) skip(window, 4);
  }
  if ((flags & FLAG_CONTENT_CHECKSUM) !== 0) skip(window, 4);
  return filled === target.length ? null : "the LZ4 frame does not hold one page";
}

/** Returns how much of `target` is filled then, or -1. A block that adds nothing is refused, so that the frame ends. */
function readBlock(window: ByteWindow, size: number, target: Uint8Array, filled: number): number {
  const length = size % NOT_COMPRESSED;
  if (length > lz4Bound(target.length)) return -1;
  const at = window.require(length, SECTION);
  let end = -1;
  if (size < NOT_COMPRESSED) {
    end = decompressBlock(window.bytes, at, at + length, target, filled);
  } else if (length <= target.length - filled) {
    target.set(window.bytes.subarray(at, at + length), filled);
    end = filled + length;
  }
  window.consume(length);
  return end > filled ? end : -1;
}

function skip(window: ByteWindow, count: number): void {
  window.require(count, SECTION);
  window.consume(count);
}

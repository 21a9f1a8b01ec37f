import { BEGINNING_BYTES, type ReadLimits } from "./transport.ts";

/**
 * Reads a file that should be small, or its beginning when that is enough; null when it has more than `maxBytes`.
 * @param read fills a buffer from a position; fewer bytes only at the end of the file.
 * @param size as the file system says; it may be growing.
 */
export async function readSmall(
  read: (target: Buffer<ArrayBuffer>, position: number) => Promise<number>,
  size: number,
  { maxBytes, isEnough }: ReadLimits,
): Promise<Uint8Array | null> {
  if (size > maxBytes) return null;
  // One byte more than there should be.
  const bytes = Buffer.alloc(size + 1);
  let count = 0;
  if (isEnough !== undefined) {
    const beginning = bytes.subarray(0, BEGINNING_BYTES);
    count = await read(beginning, 0);
    if (isEnough(beginning.subarray(0, count))) return new Uint8Array(beginning.subarray(0, count));
    if (count < beginning.length) return new Uint8Array(bytes.subarray(0, count));
  }
  count += await read(bytes.subarray(count), count);
  return count > maxBytes ? null : new Uint8Array(bytes.subarray(0, count));
}

/**
 * The LZ4 block format (lz4/doc/lz4_Block_format.md), for one page at a time.
 *
 * In JavaScript, because a native codec allocates a result for each page that is freed only when the event loop turns: a
 * segment written without a pause then costs memory for every page of it. Nothing is allocated here but a view, equal
 * pages always give equal bytes, and the worst outcome with hostile data is a wrong page, which the file checksum refuses.
 */

/** Largest data that {@link compressBlock} takes: positions are kept as 16 bits. */
const MAX_BLOCK = 65_536;
const MIN_MATCH = 4;
/** The format's end rules: the last 5 bytes are literals, and the last match begins at least 12 bytes before the end. */
const LAST_LITERALS = 5;
const LAST_MATCH_START = 12;
/** Where data does not compress, the step grows by one after this many (as a power of two) misses. */
const STEP_BITS = 6;
const HASH_BITS = 12;
/** Knuth's multiplicative hash: 2^32 divided by the golden ratio, as a signed number. */
const HASH_FACTOR = -1_640_531_535;
/** Values that the token's four bits cannot hold are continued in further bytes. */
const TOKEN_FULL = 15;
/** Shorter runs are copied byte by byte: a call costs more. */
const LONG_COPY = 32;

/** Position at which each hash was seen last. 0 also means never, which is harmless: the bytes there are compared anyway. */
const seen = new Uint16Array(1 << HASH_BITS);

/** Largest compressed size of `size` bytes in the block format. */
export function lz4Bound(size: number): number {
  return size + Math.floor(size / 255) + 16;
}

/**
 * Compresses `data`, up to 64 KiB, to one block in `target` from index `at` on, where {@link lz4Bound} bytes are free.
 * Returns the index after the block.
 */
export function compressBlock(data: Uint8Array, target: Uint8Array, at: number): number {
  if (data.length > MAX_BLOCK) throw new RangeError(`an LZ4 block of ${data.length} bytes`);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const lastStart = data.length - LAST_MATCH_START;
  const matchLimit = data.length - LAST_LITERALS;
  seen.fill(0);
  let out = at;
  let literals = 0;
  let misses = 1 << STEP_BITS;
  for (let position = 1; position <= lastStart; ) {
    const word = view.getInt32(position, true);
    const slot = hash(word);
    let earlier = seen[slot] as number;
    seen[slot] = position;
    if (view.getInt32(earlier, true) !== word) {
      position += misses++ >>> STEP_BITS;
      continue;
    }
    misses = 1 << STEP_BITS;
    let start = position;
    while (start > literals && earlier > 0 && data[start - 1] === data[earlier - 1]) {
      start--;
      earlier--;
    }
    const distance = start - earlier;
    const end = matchEnd(data, view, position + MIN_MATCH, distance, matchLimit);
    out = writeSequence(data, literals, start, distance, end - start, target, out);
    literals = end;
    position = end;
    if (position <= lastStart) seen[hash(view.getInt32(end - 2, true))] = end - 2;
  }
  return writeLiterals(data, literals, data.length, 0, target, out);
}

function hash(word: number): number {
  return Math.imul(word, HASH_FACTOR) >>> (32 - HASH_BITS);
}

/** Index after the last byte, from `at` on, that equals the one `distance` before it. */
function matchEnd(data: Uint8Array, view: DataView, at: number, distance: number, limit: number): number {
  let end = at;
  while (end <= limit - 4) {
    const difference = view.getInt32(end, true) ^ view.getInt32(end - distance, true);
    if (difference !== 0) return end + ((31 - Math.clz32(difference & -difference)) >>> 3);
    end += 4;
  }
  while (end < limit && data[end] === data[end - distance]) end++;
  return end;
}

/** Writes the literals `data[from..to)` and a match of `length` bytes; returns the index after them. */
function writeSequence(
  data: Uint8Array,
  from: number,
  to: number,
  distance: number,
  length: number,
  target: Uint8Array,
  at: number,
): number {
  const rest = length - MIN_MATCH;
  let out = writeLiterals(data, from, to, Math.min(rest, TOKEN_FULL), target, at);
  target[out++] = distance & 0xff;
  target[out++] = distance >>> 8;
  return rest < TOKEN_FULL ? out : writeMore(rest - TOKEN_FULL, target, out);
}

/** Writes a token, whose low half is `matchBits`, and the literals `data[from..to)`. */
function writeLiterals(
  data: Uint8Array,
  from: number,
  to: number,
  matchBits: number,
  target: Uint8Array,
  at: number,
): number {
  const count = to - from;
  let out = at;
  target[out++] = (Math.min(count, TOKEN_FULL) << 4) | matchBits;
  if (count >= TOKEN_FULL) out = writeMore(count - TOKEN_FULL, target, out);
  if (count > LONG_COPY) {
    target.set(data.subarray(from, to), out);
    return out + count;
  }
  for (let i = from; i < to; i++) target[out++] = data[i] as number;
  return out;
}

/** Continues a length beyond the token: bytes of 255, then one below. */
function writeMore(length: number, target: Uint8Array, at: number): number {
  let out = at;
  let rest = length;
  for (; rest >= 255; rest -= 255) target[out++] = 255;
  target[out++] = rest;
  return out;
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
    if (literals === TOKEN_FULL) {
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
    let length = (token & TOKEN_FULL) + MIN_MATCH;
    if (length === TOKEN_FULL + MIN_MATCH) {
      let more: number;
      do {
        if (at >= end) return -1;
        more = source[at++] as number;
        length += more;
      } while (more === 255);
    }
    if (distance === 0 || distance > out || length > target.length - out) return -1;
    repeat(target, out, distance, length);
    out += length;
  }
  return -1;
}

/** Writes `length` bytes at `out`, each equal to the one `distance` before it. */
function repeat(target: Uint8Array, out: number, distance: number, length: number): void {
  const stop = out + length;
  if (length > LONG_COPY && distance >= length) {
    target.copyWithin(out, out - distance, stop - distance);
  } else if (length > LONG_COPY && distance === 1) {
    target.fill(target[out - 1] as number, out, stop);
  } else {
    // Byte by byte on purpose: an overlapping match repeats what it has just written.
    for (let at = out; at < stop; at++) target[at] = target[at - distance] as number;
  }
}

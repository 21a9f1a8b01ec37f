/**
 * The page index (superfly/ltx README, "Page index"): for each page, ascending, three unsigned varints (page number, byte
 * offset of its frame, length of its frame); then a zero varint; then the length of all varints as 8 bytes, big-endian.
 *
 * While a segment is written or read its index is all that grows with its pages, so it is kept as differences, about three
 * bytes a page: 80 MB for a database of 100 GB. Offsets are not kept at all, because frames follow each other.
 */

/** Longest encoding of one entry: three varints of at most 53 bits. */
export const MAX_INDEX_ENTRY = 24;

/** Length of the field after the zero varint. */
export const INDEX_SIZE_FIELD = 8;

const FIRST_CHUNK = 256;
const LAST_CHUNK = 64 * 1024;

export class PageIndex {
  readonly #firstOffset: number;
  readonly #full: Uint8Array[] = [];
  #chunk = new Uint8Array(FIRST_CHUNK);
  #used = 0;
  #lastPgno = 0;
  #pages = 0;

  /** `firstOffset` is where the first frame begins. */
  constructor(firstOffset: number) {
    this.#firstOffset = firstOffset;
  }

  get pages(): number {
    return this.#pages;
  }

  /** Page number of the last frame, 0 when there is none. */
  get lastPgno(): number {
    return this.#lastPgno;
  }

  /** Adds the frame that follows the last one; `pgno` is above the last. */
  add(pgno: number, frameLength: number): void {
    if (this.#chunk.length - this.#used < MAX_INDEX_ENTRY) this.#nextChunk();
    this.#used = writeUvarint(this.#chunk, this.#used, pgno - this.#lastPgno);
    this.#used = writeUvarint(this.#chunk, this.#used, frameLength);
    this.#lastPgno = pgno;
    this.#pages++;
  }

  /** Calls `visit` with the encoding of each entry, `bytes[0..length)`; the bytes are valid until it returns. */
  forEachEncoded(visit: (bytes: Uint8Array, length: number) => void): void {
    const entry = new Uint8Array(MAX_INDEX_ENTRY);
    let pgno = 0;
    let offset = this.#firstOffset;
    for (const chunk of [...this.#full, this.#chunk.subarray(0, this.#used)]) {
      for (let at = 0; at < chunk.length; ) {
        pgno += readUvarint(chunk, at);
        at = afterUvarint(chunk, at);
        const frameLength = readUvarint(chunk, at);
        at = afterUvarint(chunk, at);
        let length = writeUvarint(entry, 0, pgno);
        length = writeUvarint(entry, length, offset);
        length = writeUvarint(entry, length, frameLength);
        offset += frameLength;
        visit(entry, length);
      }
    }
  }

  #nextChunk(): void {
    this.#full.push(this.#chunk.subarray(0, this.#used));
    this.#chunk = new Uint8Array(Math.min(this.#chunk.length * 2, LAST_CHUNK));
    this.#used = 0;
  }
}

/** Writes a non-negative safe integer, seven bits a byte, lowest first; returns the index after it. */
function writeUvarint(target: Uint8Array, at: number, value: number): number {
  let rest = value;
  let next = at;
  while (rest >= 0x80) {
    target[next++] = (rest & 0x7f) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[next++] = rest;
  return next;
}

/** Reads what {@link writeUvarint} wrote, of at most 35 bits: only our own chunks are read with it. */
function readUvarint(source: Uint8Array, at: number): number {
  let value = 0;
  let scale = 1;
  for (let next = at; ; next++) {
    const byte = source[next] ?? 0;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 128;
  }
}

function afterUvarint(source: Uint8Array, at: number): number {
  let next = at;
  while ((source[next] ?? 0) >= 0x80) next++;
  return next + 1;
}

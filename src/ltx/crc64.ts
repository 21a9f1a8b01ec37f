/**
 * CRC-64/ISO registers that can be moved over a page without reading it again.
 *
 * LTX needs two CRCs of the same data: of each page with its number, and of the whole file. A CRC is linear: moving a
 * register over n bytes is the register moved over n zero bytes, XORed with what the bytes alone contribute. So the data is
 * read once, by WebAssembly, and both CRCs are derived from that. Registers are two unsigned 32-bit halves, [high, low],
 * reflected as in Go's hash/crc64: they start as all ones and are inverted at the end.
 */
import { createCRC64 } from "hash-wasm";
import { isPageSize } from "./page-size.ts";

/** The reversed polynomial of ISO 3309, as hash-wasm takes it: its bits mirrored in hexadecimal. */
const ISO_POLYNOMIAL = "d800000000000000";
const POLYNOMIAL_HIGH = 0xd800_0000;
const ALL_ONES = 0xffff_ffff;

export type Crc64Register = Uint32Array;

const hasher = await createCRC64(ISO_POLYNOMIAL);
const [tableHigh, tableLow] = buildByteTable();
const zeroRuns = new Map<number, ZeroRun>();

export function newRegister(): Crc64Register {
  return new Uint32Array([ALL_ONES, ALL_ONES]);
}

/** Moves `register` over `bytes[start..end)`. One table look-up a byte: meant for headers, not for pages. */
export function updateRegister(register: Crc64Register, bytes: Uint8Array, start: number, end: number): void {
  let high = register[0] ?? 0;
  let low = register[1] ?? 0;
  for (let i = start; i < end; i++) {
    const index = (low ^ (bytes[i] ?? 0)) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ (tableLow[index] ?? 0);
    high = (high >>> 8) ^ (tableHigh[index] ?? 0);
  }
  register[0] = high;
  register[1] = low;
}

/** Writes to `out` what `data` alone contributes: the register that moving all ones over it gives. */
export function contribution(data: Uint8Array, out: Crc64Register): void {
  hasher.init();
  hasher.update(data);
  const digest = hasher.digest("binary");
  out[0] = ~readUint32(digest, 0);
  out[1] = ~readUint32(digest, 4);
}

/** Moves registers over runs of one fixed length, given the {@link contribution} of the run. */
export class ZeroRun {
  /** Image of each value of each register byte after `length` zero bytes: 8 tables of 256. */
  readonly #high = new Uint32Array(8 * 256);
  readonly #low = new Uint32Array(8 * 256);

  /** Builds 16 KiB of tables; {@link zeroRun} keeps them. `length` is a page size. */
  constructor(length: number) {
    if (!isPageSize(length)) throw new RangeError(`not a page size: ${length}`);
    const basis = imagesAfter(length);
    for (let value = 0; value < 8 * 256; value++) {
      const lowestBit = value & -value & 0xff;
      if (lowestBit === 0) continue;
      const rest = value ^ lowestBit;
      const bit = (value >>> 8) * 8 + (31 - Math.clz32(lowestBit));
      this.#high[value] = (this.#high[rest] ?? 0) ^ (basis[bit * 2] ?? 0);
      this.#low[value] = (this.#low[rest] ?? 0) ^ (basis[bit * 2 + 1] ?? 0);
    }
  }

  /** Moves `register` over data of this length whose contribution is `data`. */
  apply(register: Crc64Register, data: Crc64Register): void {
    const high = ~(register[0] ?? 0);
    const low = ~(register[1] ?? 0);
    register[0] = (data[0] ?? 0) ^ this.#image(this.#high, high, low);
    register[1] = (data[1] ?? 0) ^ this.#image(this.#low, high, low);
  }

  #image(table: Uint32Array, high: number, low: number): number {
    return (
      (table[low & 0xff] ?? 0) ^
      (table[256 + ((low >>> 8) & 0xff)] ?? 0) ^
      (table[512 + ((low >>> 16) & 0xff)] ?? 0) ^
      (table[768 + (low >>> 24)] ?? 0) ^
      (table[1024 + (high & 0xff)] ?? 0) ^
      (table[1280 + ((high >>> 8) & 0xff)] ?? 0) ^
      (table[1536 + ((high >>> 16) & 0xff)] ?? 0) ^
      (table[1792 + (high >>> 24)] ?? 0)
    );
  }
}

/** The shared {@link ZeroRun} of a page size; there are eight page sizes. @throws RangeError for another length. */
export function zeroRun(pageSize: number): ZeroRun {
  let run = zeroRuns.get(pageSize);
  if (run === undefined) {
    run = new ZeroRun(pageSize);
    zeroRuns.set(pageSize, run);
  }
  return run;
}

function buildByteTable(): [Uint32Array, Uint32Array] {
  const tables: [Uint32Array, Uint32Array] = [new Uint32Array(256), new Uint32Array(256)];
  for (let value = 0; value < 256; value++) {
    let high = 0;
    let low = value;
    for (let bit = 0; bit < 8; bit++) {
      const carry = low & 1;
      low = (low >>> 1) | (high << 31);
      high = (high >>> 1) ^ (carry === 1 ? POLYNOMIAL_HIGH : 0);
    }
    tables[0][value] = high;
    tables[1][value] = low;
  }
  return tables;
}

/** What each of the 64 register bits (bit 0 first) becomes after `length` zero bytes, found by squaring. */
function imagesAfter(length: number): Uint32Array {
  let images = new Uint32Array(128);
  const register = new Uint32Array(2);
  const zero = new Uint8Array(1);
  for (let bit = 0; bit < 64; bit++) {
    register[0] = bit < 32 ? 0 : 1 << (bit - 32);
    register[1] = bit < 32 ? 1 << bit : 0;
    updateRegister(register, zero, 0, 1);
    images.set(register, bit * 2);
  }
  for (let span = 1; span < length; span *= 2) images = squared(images);
  return images;
}

function squared(images: Uint32Array): Uint32Array<ArrayBuffer> {
  const result = new Uint32Array(128);
  for (let bit = 0; bit < 64; bit++) {
    for (let part = 0; part < 64; part++) {
      const word = images[bit * 2 + (part < 32 ? 1 : 0)] ?? 0;
      if (((word >>> (part & 31)) & 1) === 0) continue;
      result[bit * 2] = (result[bit * 2] ?? 0) ^ (images[part * 2] ?? 0);
      result[bit * 2 + 1] = (result[bit * 2 + 1] ?? 0) ^ (images[part * 2 + 1] ?? 0);
    }
  }
  return result;
}

function readUint32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
  );
}

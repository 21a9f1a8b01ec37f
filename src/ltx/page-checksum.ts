/**
 * The page and database checksums that LTX builds from CRC-64/ISO (superfly/ltx, checksum.go).
 *
 * A page's checksum is the CRC of its number (4 bytes, big-endian) followed by its data, with bit 63 set. The database's
 * checksum is the XOR of all of them with bit 63 set. Inside loops a checksum is two unsigned 32-bit halves,
 * because a bigint for each page costs more than the page's CRC.
 */
import { contribution, newRegister, updateRegister, zeroRun } from "./crc64.ts";
import type { Checksum } from "./position.ts";

const HIGH_FLAG = 0x8000_0000;

/** A checksum as two unsigned 32-bit halves: [high, low]. */
export type ChecksumHalves = Uint32Array;

const register = newRegister();
const data64 = newRegister();
const number = new Uint8Array(4);
const numberView = new DataView(number.buffer);

/** The checksum of one page, written to `out`. `data` is the whole page. @throws RangeError when its length is no page size. */
export function pageChecksum(pgno: number, data: Uint8Array, out: ChecksumHalves): void {
  contribution(data, data64);
  pageChecksumFrom(pgno, data.length, data64, out);
}

/** As {@link pageChecksum}, from the {@link contribution} of the page's data. */
export function pageChecksumFrom(pgno: number, pageSize: number, data: Uint32Array, out: ChecksumHalves): void {
  numberView.setUint32(0, pgno);
  register.fill(0xffff_ffff);
  updateRegister(register, number, 0, 4);
  zeroRun(pageSize).apply(register, data);
  checksumOfRegister(register, out);
}

/** Inverts a finished CRC register and sets bit 63. */
export function checksumOfRegister(finished: Uint32Array, out: ChecksumHalves): void {
  out[0] = (~(finished[0] ?? 0) | HIGH_FLAG) >>> 0;
  out[1] = ~(finished[1] ?? 0) >>> 0;
}

/** Number of the page that holds SQLite's lock byte, at 1 GiB: it is never in a segment (SQLite file format, section 1.6). */
export function lockBytePage(pageSize: number): number {
  return 0x4000_0000 / pageSize + 1;
}

export function halvesToChecksum(high: number, low: number): Checksum {
  return ((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)) as Checksum;
}

export function checksumToHalves(checksum: Checksum, out: ChecksumHalves): void {
  out[0] = Number(checksum >> 32n);
  out[1] = Number(checksum & 0xffff_ffffn);
}

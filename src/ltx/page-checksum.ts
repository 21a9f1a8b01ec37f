/**
 * CRC-64/ISO and the page and database checksums that LTX builds from it (superfly/ltx, checksum.go).
 *
 * A page's checksum is the CRC of its number (4 bytes, big-endian) followed by its data, with bit 63 set. The database's
 * checksum is the XOR of all of them with bit 63 set. Inside loops a checksum is two unsigned 32-bit halves,
 * because a bigint for each page costs more than the page's CRC.
 */
import { createCRC64 } from "hash-wasm";
import type { Checksum } from "./position.ts";

/** The reversed polynomial of ISO 3309, as hash-wasm takes it: its bits mirrored in hexadecimal. */
const ISO_POLYNOMIAL = "d800000000000000";

const HIGH_FLAG = 0x8000_0000;

/** A checksum as two unsigned 32-bit halves: [high, low]. */
export type ChecksumHalves = Uint32Array;

/** A CRC-64/ISO over a sequence of byte runs. */
export interface Crc64 {
  update(bytes: Uint8Array): void;
  /** Writes the CRC, bit 63 set, and leaves the object to be used again from the start. */
  finish(out: ChecksumHalves): void;
}

const pageHasher = await createCRC64(ISO_POLYNOMIAL);
const prefix = new Uint8Array(4);
const prefixView = new DataView(prefix.buffer);

/** The checksum of one page, written to `out`. `data` is the whole page. */
export function pageChecksum(pgno: number, data: Uint8Array, out: ChecksumHalves): void {
  prefixView.setUint32(0, pgno);
  pageHasher.init();
  pageHasher.update(prefix);
  pageHasher.update(data);
  readDigest(pageHasher.digest("binary"), out);
}

/** A new running CRC; each holds its own state, so several may be in use at once. */
export async function createCrc64(): Promise<Crc64> {
  const hasher = await createCRC64(ISO_POLYNOMIAL);
  hasher.init();
  return {
    update: (bytes) => {
      hasher.update(bytes);
    },
    finish: (out) => {
      readDigest(hasher.digest("binary"), out);
      hasher.init();
    },
  };
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

function readDigest(digest: Uint8Array, out: ChecksumHalves): void {
  const view = new DataView(digest.buffer, digest.byteOffset, 8);
  out[0] = (view.getUint32(0) | HIGH_FLAG) >>> 0;
  out[1] = view.getUint32(4);
}

/**
 * The checksums of one segment, kept while it is written or read: the file checksum, each page's checksum, and the XOR of
 * the pages (the database checksum, when the segment is a snapshot). A page's data is read once for all three.
 *
 * The file checksum covers (superfly/ltx README, "File checksum") the header; each page header and size field followed by
 * the page's data before compression; the zero page header; the page index; and the trailer's first field.
 */
import { type Crc64Register, contribution, newRegister, updateRegister, type ZeroRun, zeroRun } from "./crc64.ts";
import { type ChecksumHalves, checksumOfRegister, halvesToChecksum, pageChecksumFrom } from "./page-checksum.ts";
import type { Checksum } from "./position.ts";

const HIGH_FLAG = 0x8000_0000;

export class SegmentChecksum {
  /** Checksum of the page that was added last, as [high, low]. */
  readonly page: ChecksumHalves = new Uint32Array(2);
  readonly #pageSize: number;
  readonly #run: ZeroRun;
  readonly #file: Crc64Register = newRegister();
  readonly #data: Crc64Register = newRegister();
  #high = 0;
  #low = 0;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
    this.#run = zeroRun(pageSize);
  }

  /** Adds `bytes[start..end)` of anything but page data, as it stands in the file. */
  addBytes(bytes: Uint8Array, start: number, end: number): void {
    updateRegister(this.#file, bytes, start, end);
  }

  /** Adds a page's data, uncompressed. */
  addPage(pgno: number, data: Uint8Array): void {
    contribution(data, this.#data);
    this.#run.apply(this.#file, this.#data);
    pageChecksumFrom(pgno, this.#pageSize, this.#data, this.page);
    this.#high ^= this.page[0] ?? 0;
    this.#low ^= this.page[1] ?? 0;
  }

  /** XOR of the checksums of all pages added, bit 63 set: the database checksum of a whole database. */
  get database(): Checksum {
    return halvesToChecksum(this.#high | HIGH_FLAG, this.#low);
  }

  /** The file checksum of what was added so far. */
  get file(): Checksum {
    const halves = new Uint32Array(2);
    checksumOfRegister(this.#file, halves);
    return halvesToChecksum(halves[0] ?? 0, halves[1] ?? 0);
  }
}

/** The checksum of a whole database, page by page: the XOR of all page checksums with bit 63 set (superfly/ltx, checksum.go). */
import { type ChecksumHalves, halvesToChecksum, pageChecksum } from "./page-checksum.ts";
import type { Checksum } from "./position.ts";

const HIGH_FLAG = 0x8000_0000;

export class DatabaseChecksum {
  readonly #page: ChecksumHalves = new Uint32Array(2);
  #high = 0;
  #low = 0;

  /** Adds a page, in any order, each once. The lock-byte page has no checksum and must not be added. */
  addPage(pgno: number, data: Uint8Array): void {
    pageChecksum(pgno, data, this.#page);
    this.#high ^= this.#page[0] ?? 0;
    this.#low ^= this.#page[1] ?? 0;
  }

  /** Of the pages added so far. */
  get value(): Checksum {
    return halvesToChecksum(this.#high | HIGH_FLAG, this.#low);
  }
}

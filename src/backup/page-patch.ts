/** Writes pages to their places in a database file that nothing has open: a whole snapshot, then segment after segment. */
import { ftruncateSync } from "node:fs";
import { writeFully } from "../sqlite/write-fully.ts";

const WRITE_BYTES = 1 << 20;

export class PagePatch {
  readonly #fd: number;
  readonly #pageSize: number;
  /** Pages in a row are written together. */
  readonly #buffer: Buffer;
  #filled = 0;
  /** Byte position of the buffer. */
  #position = 0;

  constructor(fd: number, pageSize: number) {
    this.#fd = fd;
    this.#pageSize = pageSize;
    this.#buffer = Buffer.alloc(Math.max(pageSize, WRITE_BYTES));
  }

  write(pgno: number, data: Uint8Array): void {
    const position = (pgno - 1) * this.#pageSize;
    if (position !== this.#position + this.#filled || this.#filled === this.#buffer.length) this.#flush(position);
    this.#buffer.set(data, this.#filled);
    this.#filled += data.length;
  }

  /** Ends a change: all of it is in the file, which then has the size of the database. */
  finish(pageCount: number): void {
    this.#flush(0);
    ftruncateSync(this.#fd, pageCount * this.#pageSize);
  }

  #flush(next: number): void {
    if (this.#filled > 0) writeFully(this.#fd, this.#buffer.subarray(0, this.#filled), this.#position);
    this.#filled = 0;
    this.#position = next;
  }
}

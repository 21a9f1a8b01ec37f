/**
 * Writes the frames of one commit behind a position of the WAL, through one buffer that is used again.
 *
 * Guarantee: only `finish` writes a commit mark. The newest page is held back until its successor or `finish` comes, so
 * without `finish` nothing of what was added can ever become visible, neither by the wal-index nor by recovery.
 */

import { lockBytePage } from "../ltx/page-checksum.ts";
import { DatabaseError } from "./database-error.ts";
import type { Page } from "./page-run.ts";
import { encodeFrameHeader, FRAME_HEADER_SIZE, frameOffset, type WalPosition } from "./wal-format.ts";
import { writeFully } from "./write-fully.ts";
import { WRITE_VERSION_OFFSET, type WriteVersion } from "./write-version.ts";

/** In page 1 (SQLite file format, section 1.3). */
const PAGE_SIZE_OFFSET = 16;
const READ_VERSION_OFFSET = 19;
const WAL_READ_VERSION = 2;
const FIRST_FRAMES = 8;

export class FrameWriter {
  readonly #fd: number;
  readonly #pageSize: number;
  /** Grows up to {@link #capacity} frames: most commits are small, and a member may hold many databases. */
  #buffer: Uint8Array;
  readonly #capacity: number;
  readonly #base: WalPosition;
  readonly #checksum = new Uint32Array(2);
  /** Frames in the buffer; the last of them has no header yet. */
  #buffered = 0;
  #flushed = 0;
  #pgnos = new Uint32Array(64);
  #count = 0;

  /** Writes at most `bufferBytes` at a time, and at least two frames. */
  constructor(fd: number, pageSize: number, bufferBytes: number, base: WalPosition) {
    this.#fd = fd;
    this.#pageSize = pageSize;
    this.#base = base;
    this.#capacity = Math.max(2, Math.floor(bufferBytes / this.#frameSize));
    this.#buffer = new Uint8Array(Math.min(this.#capacity, FIRST_FRAMES) * this.#frameSize);
    this.#checksum.set([base.checksum1, base.checksum2]);
  }

  /** Page numbers added so far, in order. */
  get pgnos(): Uint32Array {
    return this.#pgnos.subarray(0, this.#count);
  }

  /** Bytes handed to the file so far. */
  get bytesWritten(): number {
    return this.#flushed * this.#frameSize;
  }

  /** Copies a page behind the ones before it; returns whether the buffer went to the file. @throws DatabaseError CHANGE_INVALID */
  add(page: Page, writeVersion: WriteVersion): boolean {
    this.#check(page);
    const full = this.#buffered === this.#capacity;
    if (this.#buffered > 0) this.#encodeLast(0);
    if (full) this.#flush();
    else if (this.#buffered * this.#frameSize === this.#buffer.length) this.#grow();
    const at = this.#buffered * this.#frameSize + FRAME_HEADER_SIZE;
    this.#buffer.set(page.data, at);
    if (page.pgno === 1) this.#buffer[at + WRITE_VERSION_OFFSET] = writeVersion;
    this.#buffered++;
    this.#remember(page.pgno);
    return full;
  }

  /** Writes the rest with the commit mark and returns the position behind it. Needs at least one page. */
  finish(pageCount: number): WalPosition {
    this.#encodeLast(pageCount);
    this.#flush();
    const [checksum1 = 0, checksum2 = 0] = this.#checksum;
    const { salt1, salt2, frame } = this.#base;
    return { salt1, salt2, frame: frame + this.#count, checksum1, checksum2 };
  }

  get #frameSize(): number {
    return FRAME_HEADER_SIZE + this.#pageSize;
  }

  #encodeLast(commit: number): void {
    const { salt1, salt2 } = this.#base;
    const pgno = this.#pgnos[this.#count - 1] ?? 0;
    const frame = { pgno, commit, salt1, salt2, pageSize: this.#pageSize };
    encodeFrameHeader(this.#buffer, (this.#buffered - 1) * this.#frameSize, frame, this.#checksum);
  }

  #grow(): void {
    const larger = new Uint8Array(Math.min(2 * this.#buffered, this.#capacity) * this.#frameSize);
    larger.set(this.#buffer);
    this.#buffer = larger;
  }

  #flush(): void {
    const at = frameOffset(this.#base.frame + this.#flushed + 1, this.#pageSize);
    writeFully(this.#fd, this.#buffer.subarray(0, this.#buffered * this.#frameSize), at);
    this.#flushed += this.#buffered;
    this.#buffered = 0;
  }

  #remember(pgno: number): void {
    if (this.#count === this.#pgnos.length) {
      const larger = new Uint32Array(this.#count * 2);
      larger.set(this.#pgnos);
      this.#pgnos = larger;
    }
    this.#pgnos[this.#count++] = pgno;
  }

  #check(page: Page): void {
    const { pgno, data } = page;
    const previous = this.#count === 0 ? 0 : (this.#pgnos[this.#count - 1] ?? 0);
    if (data.length !== this.#pageSize) {
      throw invalid(`page ${pgno} has ${data.length} bytes, the database's pages have ${this.#pageSize}`);
    }
    if (pgno <= previous) throw invalid(`page ${pgno} comes after page ${previous}`);
    if (pgno === lockBytePage(this.#pageSize)) throw invalid(`page ${pgno} is the one that holds SQLite's lock byte`);
    if (pgno === 1) assertPage1(data, this.#pageSize);
  }
}

/** Page 1 of a WAL-mode database with this page size. @throws DatabaseError CHANGE_INVALID */
export function assertPage1(data: Uint8Array, pageSize: number): void {
  const view = new DataView(data.buffer, data.byteOffset);
  const named = view.getUint16(PAGE_SIZE_OFFSET);
  if ((named === 1 ? 65_536 : named) !== pageSize) throw invalid(`page 1 names a page size of ${named}`);
  if (view.getUint8(READ_VERSION_OFFSET) === WAL_READ_VERSION) return;
  throw invalid(`page 1 says read version ${data[READ_VERSION_OFFSET]}, a WAL-mode database says ${WAL_READ_VERSION}`);
}

/** A copy of page 1 with another byte 18. */
export function withWriteVersion(page1: Uint8Array, writeVersion: WriteVersion): Uint8Array {
  const copy = page1.slice();
  copy[WRITE_VERSION_OFFSET] = writeVersion;
  return copy;
}

export function invalid(message: string): DatabaseError {
  return new DatabaseError("CHANGE_INVALID", `the change cannot be applied: ${message}`, {
    hint: "Fetch the segment again; if it is the same, rebuild this member.",
  });
}

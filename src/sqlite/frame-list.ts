/**
 * Which frame holds which page: collected in WAL order, then reduced to the newest frame of each page.
 *
 * Eight bytes a frame, so that a transaction of many gigabytes is listed in a few megabytes. The two halves of an entry
 * are one 64-bit number with the page above the frame, which the engine sorts without a comparison function.
 */
import { lockBytePage } from "../ltx/page-checksum.ts";

const FIRST_CAPACITY = 256;

export class FrameList {
  #entries = new Uint32Array(FIRST_CAPACITY * 2);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Appends the page of the next frame. */
  add(pgno: number): void {
    if (this.#length * 2 === this.#entries.length) {
      const larger = new Uint32Array(this.#entries.length * 2);
      larger.set(this.#entries);
      this.#entries = larger;
    }
    this.#entries[this.#length * 2] = this.#length;
    this.#entries[this.#length * 2 + 1] = pgno;
    this.#length++;
  }

  /**
   * The newest frame of each page among the first `length` frames, pages ascending, without the lock-byte page and
   * without pages beyond `pageCount`. Consumes the list.
   */
  newest(length: number, pageSize: number, pageCount: number): NewestFrames {
    const entries = this.#entries;
    new BigUint64Array(entries.buffer, 0, length).sort();
    const lockPage = lockBytePage(pageSize);
    let kept = 0;
    for (let i = 0; i < length; i++) {
      const pgno = entries[i * 2 + 1] as number;
      if (pgno > pageCount) break;
      const superseded = i + 1 < length && entries[i * 2 + 3] === pgno;
      if (superseded || pgno === lockPage) continue;
      entries[kept * 2] = entries[i * 2] as number;
      entries[kept * 2 + 1] = pgno;
      kept++;
    }
    this.#entries = new Uint32Array(FIRST_CAPACITY * 2);
    this.#length = 0;
    return new NewestFrames(entries.slice(0, kept * 2));
  }
}

/** Pages in ascending order with the frame that holds each; frames count from 0 at the start of the list. */
export class NewestFrames {
  readonly #entries: Uint32Array;

  constructor(entries: Uint32Array = new Uint32Array(0)) {
    this.#entries = entries;
  }

  get length(): number {
    return this.#entries.length / 2;
  }

  /** Page number of entry `at`; 0 beyond the end. */
  pgno(at: number): number {
    return this.#entries[at * 2 + 1] ?? 0;
  }

  /** Frame of entry `at`, from 0. */
  frame(at: number): number {
    return this.#entries[at * 2] ?? 0;
  }

  /** How many entries from `at` on lie in consecutive frames, at most `limit`. */
  runLength(at: number, limit: number): number {
    const first = this.frame(at);
    let length = 1;
    while (length < limit && at + length < this.length && this.frame(at + length) === first + length) length++;
    return length;
  }

  /** Index of the first entry whose page is `pgno` or a later one; `length` when there is none. */
  firstFrom(pgno: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.pgno(middle) < pgno) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

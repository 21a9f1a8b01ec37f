/** Which page may follow which in a segment: the rules that the encoder keeps and the decoder checks. */
import { isSnapshot, type SegmentHeader } from "./header.ts";
import { lockBytePage } from "./page-checksum.ts";
import type { SegmentErrorCode } from "./segment-error.ts";

export interface PageFault {
  readonly code: SegmentErrorCode;
  readonly message: string;
}

export class PageOrder {
  readonly #commit: number;
  readonly #lockPage: number;
  readonly #everyPage: boolean;

  constructor(header: SegmentHeader) {
    this.#commit = header.commit;
    this.#lockPage = lockBytePage(header.pageSize);
    this.#everyPage = isSnapshot(header);
  }

  /** What is wrong with page `pgno` after page `previous` (0: it is the first), or null. */
  fault(previous: number, pgno: number): PageFault | null {
    if (!Number.isInteger(pgno) || pgno < 1 || pgno > this.#commit) {
      return { code: "SEGMENT_PAGE_NUMBER", message: `page ${pgno} of a database of ${this.#commit} pages` };
    }
    if (pgno === this.#lockPage) return { code: "SEGMENT_LOCK_PAGE", message: `page ${pgno} is the lock-byte page` };
    if (pgno <= previous) return { code: "SEGMENT_PAGE_ORDER", message: `page ${pgno} after page ${previous}` };
    if (this.#everyPage && pgno !== this.#following(previous)) {
      return { code: "SEGMENT_SNAPSHOT_INCOMPLETE", message: `a snapshot without page ${this.#following(previous)}` };
    }
    return null;
  }

  /** What is wrong when no page comes after page `previous`, or null. */
  endFault(previous: number): PageFault | null {
    if (!this.#everyPage || this.#following(previous) > this.#commit) return null;
    return { code: "SEGMENT_SNAPSHOT_INCOMPLETE", message: `a snapshot without page ${this.#following(previous)}` };
  }

  #following(pgno: number): number {
    return pgno + 1 === this.#lockPage ? pgno + 2 : pgno + 1;
  }
}

/** The pages in which a database differs from what a page-checksum table says: what a resync segment holds. */
import { pageChecksum } from "../ltx/page-checksum.ts";
import type { PageChecksumTable } from "./page-checksum-table.ts";
import type { Page, PageRun } from "./page-run.ts";

/** A whole database at one commit, of which any page can be read. */
export interface DatabaseImage extends PageRun {
  /** As `pages()`, beginning with page `from`. */
  pagesFrom(from: number): Iterable<Page>;
  /** Copies one page, canonical if it is page 1, to `target`, which has the size of a page. `pgno` is 1 to `pageCount`. */
  readPage(pgno: number, target: Uint8Array): void;
}

export interface PageDifference extends PageRun {
  /** Pages given out so far; all that differ once an iteration has ended. */
  readonly changedPages: number;
}

/**
 * Compares `baseline` with `table` page by page while it is iterated; nothing is given out when they are equal. Each
 * page's new checksum is staged when the iteration moves on from it, and the size at the end, so that the table then
 * speaks of the baseline. A second iteration gives the same pages; the comparison is not made again.
 */
export function diffBaseline(baseline: DatabaseImage, table: PageChecksumTable): PageDifference {
  return new BaselineDifference(baseline, table);
}

class BaselineDifference implements PageDifference {
  readonly #baseline: DatabaseImage;
  readonly #table: PageChecksumTable;
  #changed = new Uint32Array(256);
  #changedPages = 0;
  /** Pages up to this one are compared. */
  #compared = 0;

  constructor(baseline: DatabaseImage, table: PageChecksumTable) {
    this.#baseline = baseline;
    this.#table = table;
  }

  get pageSize(): number {
    return this.#baseline.pageSize;
  }

  get pageCount(): number {
    return this.#baseline.pageCount;
  }

  get changedPages(): number {
    return this.#changedPages;
  }

  *pages(): Generator<Page> {
    yield* this.#knownPages();
    const now = new Uint32Array(2);
    const before = new Uint32Array(2);
    for (const { pgno, data } of this.#baseline.pagesFrom(this.#compared + 1)) {
      pageChecksum(pgno, data, now);
      this.#table.get(pgno, before);
      this.#compared = pgno;
      const [high = 0, low = 0] = now;
      if (high === before[0] && low === before[1]) continue;
      this.#note(pgno);
      yield { pgno, data };
      this.#table.set(pgno, high, low);
    }
    this.#table.resize(this.pageCount);
  }

  /** The pages that an earlier iteration found, read and staged again: its staged changes may have been discarded. */
  *#knownPages(): Generator<Page> {
    const halves = new Uint32Array(2);
    const data = new Uint8Array(this.pageSize);
    for (let i = 0, known = this.#changedPages; i < known; i++) {
      const pgno = this.#changed[i] ?? 0;
      this.#baseline.readPage(pgno, data);
      pageChecksum(pgno, data, halves);
      const [high = 0, low = 0] = halves;
      yield { pgno, data };
      this.#table.set(pgno, high, low);
    }
  }

  #note(pgno: number): void {
    if (this.#changedPages === this.#changed.length) {
      const larger = new Uint32Array(this.#changed.length * 2);
      larger.set(this.#changed);
      this.#changed = larger;
    }
    this.#changed[this.#changedPages++] = pgno;
  }
}

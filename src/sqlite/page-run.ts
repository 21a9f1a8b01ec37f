import type { ChecksumHalves } from "../ltx/page-checksum.ts";

/** One page image, valid until the next one is asked for. */
export interface Page {
  readonly pgno: number;
  readonly data: Uint8Array;
  /** The page's checksum, where whoever read the page had to count it: so it is counted once. */
  readonly checksum?: ChecksumHalves;
}

/**
 * Pages that take a database from one committed state to a later one.
 *
 * `pages()` gives them in ascending order, each once, never the lock-byte page, page 1 in its canonical form
 * (write version, byte 18, is 2).
 */
export interface PageRun {
  readonly pageSize: number;
  /** Database size in pages after the change. */
  readonly pageCount: number;
  pages(): Iterable<Page>;
}

/** Pages in ascending order: what a capture, a baseline or a difference gives to whoever writes a segment. */
export interface PageRun {
  /** Bytes a page, 512 to 65536. */
  readonly pageSize: number;
  /** Size of the database in pages after the change. */
  readonly pageCount: number;
  /**
   * The pages in ascending order, each once, never the lock-byte page. Page 1 is canonical: byte 18 (write version) is 2,
   * whether the database is fenced or not. `data` is valid until the next step of the iteration.
   */
  pages(): Iterable<Page>;
}

export interface Page {
  readonly pgno: number;
  readonly data: Uint8Array;
}

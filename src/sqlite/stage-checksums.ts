/** Keeps a page-checksum table in step with the pages that are given out, so that each page is hashed once. */
import { pageChecksum } from "../ltx/page-checksum.ts";
import type { PageChecksumTable } from "./page-checksum-table.ts";
import type { Page, PageRun } from "./page-run.ts";

/**
 * Wraps `run` so that iterating it stages the new size and each page's checksum in `table`. The table speaks of the
 * changed database once the iteration has ended; after an abandoned one, discard the staged changes.
 */
export function stageChecksums(table: PageChecksumTable, run: PageRun): PageRun {
  return { pageSize: run.pageSize, pageCount: run.pageCount, pages: () => stagedPages(table, run) };
}

function* stagedPages(table: PageChecksumTable, run: PageRun): Generator<Page> {
  const halves = new Uint32Array(2);
  // Before the first page: entries beyond the new end leave the table, and a grown end is known even if its last page is not in the run.
  table.resize(run.pageCount);
  for (const page of run.pages()) {
    pageChecksum(page.pgno, page.data, halves);
    const [high = 0, low = 0] = halves;
    table.set(page.pgno, high, low);
    yield page;
  }
}

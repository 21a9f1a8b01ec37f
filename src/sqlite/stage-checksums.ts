/** Keeps a page-checksum table in step with the pages that are given out, so that each page is hashed once. */
import { type ChecksumHalves, pageChecksum } from "../ltx/page-checksum.ts";
import type { PageChecksumTable } from "./page-checksum-table.ts";
import type { Page, PageRun } from "./page-run.ts";

/**
 * The pages of `run`; each is staged in `table` when the iteration moves on from it, and the new size at the end. Until
 * the second step the table is untouched, so a caller may look at the first page and still read the former checksum.
 * After an iteration that was given up, discard the staged changes.
 */
export function* stageChecksums(table: PageChecksumTable, run: PageRun): Generator<Page> {
  const counted = new Uint32Array(2);
  for (const page of run.pages()) {
    const [high = 0, low = 0] = checksumOf(page, counted);
    yield page;
    table.set(page.pgno, high, low);
  }
  table.resize(run.pageCount);
}

/** The page's checksum: what it brings along, or else counted into `counted`. */
export function checksumOf({ pgno, data, checksum }: Page, counted: ChecksumHalves): ChecksumHalves {
  if (checksum !== undefined) return checksum;
  pageChecksum(pgno, data, counted);
  return counted;
}

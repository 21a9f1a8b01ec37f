/** Proves, or disproves, that a database is what its page-checksum table says. */
import { pageChecksum } from "../ltx/page-checksum.ts";
import type { PageChecksums } from "./page-checksum-table.ts";
import type { PageRun } from "./page-run.ts";
import { Turns } from "./turns.ts";

/** So many differing pages are named one by one; more are only counted. */
const NAMED_PAGES = 20;
const PAGES_PER_PROGRESS = 1_000;

export interface PageComparison {
  /** Pages that were compared. */
  readonly pages: number;
  /** Pages that differ. */
  readonly differing: number;
  /** One sentence for each fault; empty when every page is as the table says. */
  readonly problems: readonly string[];
}

/**
 * Compares every page of `run`, a whole database, with `table`. Writers and readers go on meanwhile.
 * @param onProgress called after every thousand pages; what it throws ends the comparison.
 */
export async function comparePages(
  table: PageChecksums,
  run: PageRun,
  onProgress: () => void = () => {},
): Promise<PageComparison> {
  const problems: string[] = [];
  const found = new Uint32Array(2);
  const expected = new Uint32Array(2);
  const turns = new Turns();
  let pages = 0;
  let differing = 0;
  if (run.pageCount !== table.pageCount) {
    problems.push(`the database has ${run.pageCount} pages instead of ${table.pageCount}`);
  }
  for (const { pgno, data } of run.pages()) {
    pages++;
    pageChecksum(pgno, data, found);
    table.get(pgno, expected);
    if (found[0] !== expected[0] || found[1] !== expected[1]) {
      differing++;
      if (differing <= NAMED_PAGES) problems.push(`page ${pgno} differs`);
    }
    if (pages % PAGES_PER_PROGRESS === 0) onProgress();
    await turns.spent(run.pageSize);
  }
  if (differing > NAMED_PAGES) problems.push(`and ${differing - NAMED_PAGES} more pages differ`);
  return { pages, differing, problems };
}

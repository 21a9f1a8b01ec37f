/** A change that comes to a mirror, against the mirror's page-checksum table. */
import { lockBytePage } from "../ltx/page-checksum.ts";
import { invalid } from "./frame-writer.ts";
import type { PageChecksumTable } from "./page-checksum-table.ts";
import type { Page, PageRun } from "./page-run.ts";
import { checksumOf } from "./stage-checksums.ts";

/**
 * The pages of `run`, a whole database, that the table does not have, each staged as in stage-checksums.ts; null stands for
 * a page that is as it should be.
 */
export function* differingPages(table: PageChecksumTable, run: PageRun): Generator<Page | null> {
  const counted = new Uint32Array(2);
  const known = new Uint32Array(2);
  for (const page of run.pages()) {
    const [high = 0, low = 0] = checksumOf(page, counted);
    table.get(page.pgno, known);
    if (known[0] === high && known[1] === low) {
      yield null;
      continue;
    }
    yield page;
    table.set(page.pgno, high, low);
  }
  table.resize(run.pageCount);
}

/** Pages that were added must have come, or the mirror would hold zeroes that nobody sent. @throws DatabaseError CHANGE_INVALID */
export function assertAddedPages(table: PageChecksumTable, pageCountBefore: number, pageSize: number): void {
  const halves = new Uint32Array(2);
  for (let pgno = pageCountBefore + 1; pgno <= table.pageCount; pgno++) {
    table.get(pgno, halves);
    if (halves[0] === 0 && pgno !== lockBytePage(pageSize)) {
      throw invalid(`the database grows to ${table.pageCount} pages, but page ${pgno} did not come`);
    }
  }
}

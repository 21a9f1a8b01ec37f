/** A copy of a database made only of the pages that were given out, to be compared with the real one page by page. */
import { readFileSync } from "node:fs";
import Database from "better-sqlite3";
import { expect } from "vitest";
import { halvesToChecksum, lockBytePage, pageChecksum } from "../../src/ltx/page-checksum.ts";
import { CHECKSUM_FLAG, type Checksum } from "../../src/ltx/position.ts";
import type { Page, PageRun } from "../../src/sqlite/page-run.ts";

export class PageModel {
  readonly #pages = new Map<number, Buffer>();
  #pageSize = 0;
  #pageCount = 0;

  get pageCount(): number {
    return this.#pageCount;
  }

  /** Applies a run and checks its contract. `pages` may be those of a wrapper of the run. Returns how many there were. */
  apply(run: Omit<PageRun, "pages">, pages: Iterable<Page>): number {
    this.#pageSize = run.pageSize;
    let last = 0;
    let count = 0;
    for (const { pgno, data } of pages) {
      if (pgno <= last || pgno > run.pageCount || pgno === lockBytePage(run.pageSize) || data.length !== run.pageSize) {
        throw new Error(`page ${pgno} of ${data.length} bytes after page ${last}, of ${run.pageCount}`);
      }
      this.#pages.set(pgno, Buffer.from(data));
      last = pgno;
      count++;
    }
    for (const pgno of this.#pages.keys()) if (pgno > run.pageCount) this.#pages.delete(pgno);
    this.#pageCount = run.pageCount;
    return count;
  }

  /** Compares with a run that holds all pages. */
  expectEqualTo(run: PageRun): void {
    const wrong: number[] = [];
    for (const { pgno, data } of run.pages()) if (!this.#pages.get(pgno)?.equals(data)) wrong.push(pgno);
    expect({ pageCount: this.#pageCount, wrong }).toEqual({ pageCount: run.pageCount, wrong: [] });
  }

  /** Compares with the file of a database that nobody has open any more. */
  expectEqualToFile(path: string): void {
    settle(path);
    const file = readFileSync(path);
    const wrong: number[] = [];
    for (let pgno = 1; pgno <= this.#pageCount; pgno++) {
      if (pgno === lockBytePage(this.#pageSize)) continue;
      const page = Buffer.from(file.subarray((pgno - 1) * this.#pageSize, pgno * this.#pageSize));
      if (pgno === 1) page[18] = 2;
      if (!this.#pages.get(pgno)?.equals(page)) wrong.push(pgno);
    }
    expect({ pageCount: this.#pageCount, wrong }).toEqual({ pageCount: file.length / this.#pageSize, wrong: [] });
  }

  /** The database checksum, computed from the pages alone. */
  checksum(): Checksum {
    const halves = new Uint32Array(2);
    let sum = 0n;
    for (const [pgno, data] of this.#pages) {
      pageChecksum(pgno, data, halves);
      sum ^= halvesToChecksum(halves[0] ?? 0, halves[1] ?? 0);
    }
    return (sum | CHECKSUM_FLAG) as Checksum;
  }
}

/** Copies what is left in the WAL into the file, and checks the database's structure. */
export function settle(path: string): void {
  const db = new Database(path, { timeout: 5_000 });
  try {
    expect(db.pragma("wal_checkpoint(TRUNCATE)", { simple: true })).toBe(0);
    expect(db.pragma("integrity_check", { simple: true })).toBe("ok");
  } finally {
    db.close();
  }
}

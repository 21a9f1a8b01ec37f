/**
 * What an operator is shown to decide whether a database continues the journal, when no checksum can prove it. What looks like
 * an earlier state of the journal is never taken, although a newer one could look the same: an update that undid another.
 */
import { join } from "node:path";
import { errnoOf } from "../errno.ts";
import { FileSource } from "../journal/file-source.ts";
import { formatSegmentPath } from "../journal/segment-name.ts";
import type { StateStore } from "../journal/state-store.ts";
import { SegmentDecoder } from "../ltx/segment-decoder.ts";
import type { PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import { Turns } from "../sqlite/turns.ts";
import type { JournalEnd } from "./journal-end.ts";
import type { LostDatabase } from "./lost-database.ts";
import type { LostMachine } from "./lost-machine.ts";
import { SalvageError } from "./salvage-error.ts";
import type { FilePages } from "./settled-copy.ts";

/** Bytes 24 to 27 of page 1 (SQLite file format, section 1.3.7). In WAL mode it grows whenever page 1 is written. */
const CHANGE_COUNTER_OFFSET = 24;

/** A salt of another series is this near with a probability of one in four million. */
const MOST_RESTARTS = 1_000;

export interface Evidence {
  /** From the lost state: `member of mirror set`; null when there is no state. */
  readonly identity: string | null;
  /** Pages of the lost database, and how many of them are not as in the journal. */
  readonly pages: number;
  readonly differingPages: number;
  /** Those of them that are just as the journal had them at some earlier time. */
  readonly earlierPages: number;
  /** Of the lost database, and of the newest page 1 in the journal, null when that was purged. */
  readonly changeCounter: number;
  readonly journalChangeCounter: number | null;
  /**
   * How often the WAL was restarted since the journal's end, by its first salt, which SQLite raises by one each time; null when
   * the salt is of another series, as in another database or after the WAL was removed.
   */
  readonly walRestarts: number | null;
  /** When the files were last written, ISO 8601, by the lost machine's clock. */
  readonly modified: string;
}

interface Found {
  readonly pages: FilePages;
  /** Its table speaks of `pages` by now. */
  readonly end: JournalEnd;
  readonly lost: LostDatabase;
  /** Numbers of the pages that differ. */
  readonly differing: readonly number[];
}

/**
 * @throws SalvageError SALVAGE_OLDER when the database is behind the journal: to take it would undo transactions. Its change
 * counter shows that, or that all of the pages that differ are earlier ones of the journal.
 */
export async function gatherEvidence(
  options: { machine: LostMachine; store: StateStore; journal: string; database: string },
  { pages, end, lost, differing }: Found,
): Promise<Evidence> {
  const { machine, store, journal, database } = options;
  const own = store.segments(database, { order: "newest" }).map((row) => join(journal, formatSegmentPath(row)));
  const paths = [...[...end.paths].reverse(), ...own];
  const page1 = new Uint8Array(pages.pageSize);
  pages.readPage(1, page1);
  const identity = machine.state?.identity;
  const evidence: Evidence = {
    identity: identity === undefined ? null : `${identity.member} of ${identity.mirror}`,
    pages: pages.pageCount,
    differingPages: differing.length,
    earlierPages: await countEarlier(end.table, differing, paths),
    changeCounter: changeCounterOf(page1),
    journalChangeCounter: newestChangeCounter(paths),
    walRestarts: countRestarts(lost, end),
    modified: new Date(lost.writtenAtMs).toISOString(),
  };
  const { changeCounter, journalChangeCounter, earlierPages } = evidence;
  if (changeCounter < (journalChangeCounter ?? 0)) {
    throw older(`its change counter is ${changeCounter}, the journal's ${journalChangeCounter}`);
  }
  if (earlierPages > 0 && earlierPages === differing.length) {
    throw older(`all ${earlierPages} pages that differ are as the journal had them before`);
  }
  return evidence;
}

/** How many of the pages were once as `table` has them, by the journal's files. */
async function countEarlier(
  table: PageChecksumTable,
  differing: readonly number[],
  paths: readonly string[],
): Promise<number> {
  const wanted = new Set(differing);
  const now = new Uint32Array(2);
  const turns = new Turns();
  for (const path of paths) {
    using source = openIfThere(path);
    const decoder = source === null || wanted.size === 0 ? null : new SegmentDecoder(source);
    for (let page = decoder?.next(); page != null; page = decoder?.next()) {
      if (!wanted.has(page.pgno)) continue;
      table.get(page.pgno, now);
      if (page.checksum[0] === now[0] && page.checksum[1] === now[1]) wanted.delete(page.pgno);
      await turns.spent(page.data.length);
    }
  }
  return differing.length - wanted.size;
}

function countRestarts({ wal }: LostDatabase, { marks }: JournalEnd): number | null {
  const [mark] = marks;
  if (wal === null || mark === undefined) return null;
  const restarts = (wal.header.salt1 - mark.salt1) >>> 0;
  return restarts <= MOST_RESTARTS ? restarts : null;
}

function newestChangeCounter(paths: readonly string[]): number | null {
  for (const path of paths) {
    using source = openIfThere(path);
    // Pages ascend.
    const first = source === null ? null : new SegmentDecoder(source).next();
    if (first?.pgno === 1) return changeCounterOf(first.data);
  }
  return null;
}

function changeCounterOf(page1: Uint8Array): number {
  return new DataView(page1.buffer, page1.byteOffset).getUint32(CHANGE_COUNTER_OFFSET);
}

/** Null when a purge has just taken the file away. */
function openIfThere(path: string): FileSource | null {
  try {
    return new FileSource(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return null;
    throw error;
  }
}

function older(reason: string): SalvageError {
  return new SalvageError("SALVAGE_OLDER", `the lost database is older than the journal: ${reason}`, {
    hint: "To take it would undo transactions that this mirror has. If its WAL is lost, look for it; else promote the mirror.",
  });
}

/** What an operator is shown to decide whether a database continues the journal, when no checksum can prove it. */
import { join } from "node:path";
import { FileSource } from "../journal/file-source.ts";
import { formatSegmentPath } from "../journal/segment-name.ts";
import type { StateStore } from "../journal/state-store.ts";
import { SegmentDecoder } from "../ltx/segment-decoder.ts";
import type { JournalEnd } from "./journal-end.ts";
import type { LostDatabase } from "./lost-database.ts";
import type { LostMachine } from "./lost-machine.ts";
import { SalvageError } from "./salvage-error.ts";
import type { FilePages } from "./settled-copy.ts";

/** Bytes 24 to 27 of page 1 (SQLite file format, section 1.3.7). In WAL mode it grows whenever page 1 is written. */
const CHANGE_COUNTER_OFFSET = 24;

export interface Evidence {
  /** From the lost state: `member of mirror set`; null when there is no state. */
  readonly identity: string | null;
  /** Pages of the lost database, and how many of them are not as in the journal. */
  readonly pages: number;
  readonly differingPages: number;
  /** Of the lost database, and of the newest page 1 in the journal, null when that was purged. */
  readonly changeCounter: number;
  readonly journalChangeCounter: number | null;
  /** When the files were last written, ISO 8601, by the lost machine's clock. */
  readonly modified: string;
}

interface Found {
  readonly pages: FilePages;
  readonly end: JournalEnd;
  readonly lost: LostDatabase;
  readonly differing: number;
}

/** @throws SalvageError SALVAGE_OLDER when the change counter shows that the database is behind the journal. */
export function gatherEvidence(
  options: { machine: LostMachine; store: StateStore; journal: string; database: string },
  { pages, end, lost, differing }: Found,
): Evidence {
  const page1 = new Uint8Array(pages.pageSize);
  pages.readPage(1, page1);
  const identity = options.machine.state?.identity;
  const evidence: Evidence = {
    identity: identity === undefined ? null : `${identity.member} of ${identity.mirror}`,
    pages: pages.pageCount,
    differingPages: differing,
    changeCounter: changeCounterOf(page1),
    journalChangeCounter: newestChangeCounter(options, end),
    modified: new Date(lost.writtenAtMs).toISOString(),
  };
  if (evidence.changeCounter >= (evidence.journalChangeCounter ?? 0)) return evidence;
  const { changeCounter, journalChangeCounter } = evidence;
  throw new SalvageError(
    "SALVAGE_OLDER",
    `the lost database is older than the journal: its change counter is ${changeCounter}, the journal's ${journalChangeCounter}`,
    {
      hint: "Nothing in it is newer than what this mirror has: promote the mirror. Look for the WAL if it is kept elsewhere.",
    },
  );
}

function newestChangeCounter(
  { store, journal, database }: { store: StateStore; journal: string; database: string },
  end: JournalEnd,
): number | null {
  const own = store.segments(database, { order: "newest" }).map((row) => join(journal, formatSegmentPath(row)));
  for (const path of [...[...end.paths].reverse(), ...own]) {
    using source = new FileSource(path);
    // Pages ascend.
    const first = new SegmentDecoder(source).next();
    if (first?.pgno === 1) return changeCounterOf(first.data);
  }
  return null;
}

function changeCounterOf(page1: Uint8Array): number {
  return new DataView(page1.buffer, page1.byteOffset).getUint32(CHANGE_COUNTER_OFFSET);
}

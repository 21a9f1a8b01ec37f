/**
 * Decides, when a mirror is opened, which state its file is in (docs/FORMAT.md, "Opening a mirror").
 *
 * Guarantee: what is accepted is, page for page, either the state of the page-checksum table or that state with the one
 * commit that had been announced before it was appended. Everything else is MIRROR_INCONSISTENT, and nothing was changed.
 */
import type { Checksum } from "../ltx/position.ts";
import type { AppendSession } from "./append-session.ts";
import { capturedChange } from "./captured-change.ts";
import { comparePages } from "./compare-pages.ts";
import { DatabaseError } from "./database-error.ts";
import { type FileFootprint, footprintOf, sameFootprint } from "./mirror-footprint.ts";
import type { PageChecksumTable } from "./page-checksum-table.ts";
import { diffBaseline } from "./page-difference.ts";
import { startOf } from "./pin-pair.ts";
import { stageChecksums } from "./stage-checksums.ts";
import type { WalPosition } from "./wal-format.ts";
import type { WalIndexState } from "./wal-index.ts";
import {
  type ClosedSignature,
  isRebuiltEmpty,
  sameSignature,
  showsMark,
  signatureOf,
  type WalMark,
} from "./wal-mark.ts";
import { sameGeneration } from "./wal-position.ts";
import { scanCommits } from "./wal-scan.ts";
import { FENCED } from "./write-version.ts";

/** What the caller recorded before it began to integrate, and has not yet recorded as done. */
export interface MirrorIntent {
  /** Database size in pages after that commit. */
  readonly pageCount: number;
  /** Database checksum after that commit; null or absent when it is not known, which makes the proof weaker. */
  readonly checksum?: Checksum | null;
}

/** What the caller has recorded of the mirror. Null or absent means that it is not known: then every page is compared. */
export interface MirrorRecord {
  readonly table: PageChecksumTable;
  /** What the last integration returned. */
  readonly saved: WalMark | null;
  /** The database file as it was then, or after a later checkpoint of ours. */
  readonly file?: FileFootprint | null;
  /** What the last `close` returned. */
  readonly closed?: ClosedSignature | null;
  readonly intent?: MirrorIntent | null;
}

/** `adopted`: the announced commit is there, and its checksums are staged in the table. */
export type MirrorState = "current" | "adopted";

/** Call under the write lock. @throws DatabaseError MIRROR_INCONSISTENT */
export async function judgeOpening(
  session: AppendSession,
  state: WalIndexState,
  record: MirrorRecord,
): Promise<MirrorState> {
  const { table, saved, closed, file, intent } = record;
  // Then anybody may have written to it: only its pages can tell.
  if (!isFencedEverywhere(session, state)) return await judgeByPages(session, table, intent ?? null);
  // The mark speaks of the WAL alone.
  const fileIsOurs = sameFootprint(file ?? null, footprintOf(session.files.path));
  if (fileIsOurs && saved !== null && showsMark(state, saved) && !isRebuiltEmpty(state)) return "current";
  if (state.maxFrame === 0 && sameSignature(closed ?? null, signatureOf(session.files.path, table.checksum))) {
    return "current";
  }
  if (intent != null && fileIsOurs && adoptFromWal(session, state, { table, saved, intent })) return "adopted";
  return await judgeByPages(session, table, intent ?? null);
}

/** In the file as well as for readers: what is in the WAL alone is lost with it. */
export function isFencedEverywhere(session: AppendSession, state: WalIndexState): boolean {
  return session.readWriteVersion(state) === FENCED && session.files.readHeader().writeVersion === FENCED;
}

export function inconsistent(path: string, reason: string, cause?: unknown): DatabaseError {
  return new DatabaseError("MIRROR_INCONSISTENT", `the mirror's database was changed by somebody else: ${reason}`, {
    path,
    hint: "Run `afterimage rebuild` on this member, and find out what changed its files.",
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Recognises the announced commit as the only one behind the saved mark, or as the only one in a new WAL. */
function adoptFromWal(
  session: AppendSession,
  state: WalIndexState,
  { table, saved, intent }: { table: PageChecksumTable; saved: WalMark | null; intent: MirrorIntent },
): boolean {
  const start = growthStart(session, state, saved);
  // Behind a WAL that has been emptied meanwhile, only the checksum proves which state the commit followed.
  if (start === null || (start.frame === 0 && intent.checksum == null)) return false;
  const found = scanCommits(session.wal, start, { maxFrame: state.maxFrame, maxBytes: Number.POSITIVE_INFINITY });
  if (found.kind === "broken" || found.commits !== 1 || found.pageCount !== intent.pageCount) return false;
  for (const _ of stageChecksums(
    table,
    capturedChange(session.wal, start, found, () => {}),
  ));
  if (intent.checksum == null || table.checksum === intent.checksum) return true;
  table.discard();
  return false;
}

/** Behind which place in the WAL the announced commit must lie, if it is there. */
function growthStart(session: AppendSession, state: WalIndexState, saved: WalMark | null): WalPosition | null {
  if (state.maxFrame === 0) return null;
  if (saved === null || saved.frame === 0 || !sameGeneration(saved, state)) return startOf(state, session.wal);
  return state.maxFrame > saved.frame ? saved : null;
}

async function judgeByPages(
  session: AppendSession,
  table: PageChecksumTable,
  intent: MirrorIntent | null,
): Promise<MirrorState> {
  const image = session.beginBaseline();
  try {
    const { problems } = await comparePages(table, image);
    if (problems.length === 0) return "current";
    if (intent?.pageCount === image.pageCount) {
      stage(diffBaseline(image, table).pages());
      if (intent.checksum == null || intent.checksum === table.checksum) return "adopted";
      table.discard();
    }
    throw inconsistent(session.files.path, problems.join("; "));
  } finally {
    image.close();
  }
}

/** Lets an iteration that stages checksums run to its end. */
function stage(pages: Iterable<unknown>): void {
  for (const _ of pages);
}

/**
 * The upstream's half of a resync: one file with the pages in which a follower's copy differs from this member's database
 * at one commit, while writers, readers and rotation go on.
 *
 * Guarantee: the file leads from exactly the copy that the page checksums describe to a position of the journal; that the
 * pages are those of that position is proved by their checksums. A copy that is a state of the journal, which still has
 * what follows it, gets no pages: it goes on from there.
 */

import type { SegmentRow } from "../journal/segment-catalogue.ts";
import { SegmentWriter } from "../journal/segment-writer.ts";
import { halvesToChecksum, lockBytePage } from "../ltx/page-checksum.ts";
import {
  CHECKSUM_FLAG,
  type Checksum,
  NO_CHECKSUM,
  type Position,
  parseChecksum,
  parseTxid,
  type Txid,
  toTxid,
} from "../ltx/position.ts";
import { type PageChecksums, PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import type { Page } from "../sqlite/page-run.ts";
import { PageSumsStore, readPageSums } from "../sqlite/page-sums.ts";
import { Turns } from "../sqlite/turns.ts";
import type { ResyncView } from "../status/member-status.ts";
import { cutSegment, PROGRESS_BYTES, planSegment, type SegmentPlan } from "./cut-segment.ts";
import { assertFree } from "./free-space.ts";
import { epochAfter, isBeyond } from "./journal-epochs.ts";
import type { MemberContext } from "./member-context.ts";
import { MemberError } from "./member-error.ts";
import { assertWalAllowed, type VerificationSource } from "./verification.ts";

/** What a page comparison costs, against {@link Turns}: nothing is read. */
const BYTES_PER_COMPARISON = 64;

/** The database that is compared with. */
export interface ComparedDatabase {
  readonly name: string;
  beginVerification(): Promise<VerificationSource | null>;
}

export interface AnswerOptions {
  readonly request: ResyncView;
  /** The follower's page checksums; null when it asks for all pages. */
  readonly sumsPath: string | null;
  /** Where the file goes. */
  readonly path: string;
  readonly stop: AbortSignal;
}

export interface DifferenceFile {
  readonly maxTxid: Txid;
  readonly bytes: number;
  readonly pages: number;
}

/**
 * Writes the file; null when this member has nothing to answer with yet.
 * @throws MemberError RESYNC_REQUEST for page checksums that are not what the request says, SNAPSHOT_CHECKSUM, DISK_LOW,
 * VERIFICATION_WAL; and what keeps the database from being read.
 */
export async function writeDifference(
  context: MemberContext,
  database: ComparedDatabase,
  options: AnswerOptions,
): Promise<DifferenceFile | null> {
  const { request, sumsPath } = options;
  if (sumsPath !== null) await checkSums(request, sumsPath);
  const known = sumsPath === null ? null : knownState(context, database.name, request);
  if (known !== null) return await writeNothing(context, known, options);
  const source = await database.beginVerification();
  if (source === null) return null;
  try {
    if (source.position.txid < (parseTxid(request.atLeast) ?? 0n)) return null;
    return await writePages(context, database.name, source, options);
  } finally {
    source.checksums.close();
    source.baseline.close();
  }
}

async function checkSums({ pages, checksum, sha256 }: ResyncView, path: string): Promise<void> {
  const found = await readPageSums(path);
  if (found?.sha256 === sha256 && found.pages === pages && found.checksum === parseChecksum(checksum ?? "")) return;
  throw new MemberError("RESYNC_REQUEST", "the page checksums are not those that the follower's status speaks of", {
    hint: "They are fetched again by themselves; a follower that asks anew names others.",
  });
}

/** The last segment of the state that the copy has, when the journal goes on from there. */
function knownState(context: MemberContext, database: string, request: ResyncView): SegmentRow | null {
  const { store, journal } = context;
  const checksum = parseChecksum(request.checksum ?? "");
  const row = checksum === null ? null : store.catalogue.leadingTo(database, checksum);
  if (
    row === null ||
    checksum === null ||
    isBeyond(context, database, { epoch: row.epoch, txid: row.maxTxid, checksum })
  )
    return null;
  if (row.maxTxid === 1n || row.maxTxid < (parseTxid(request.atLeast) ?? 0n)) return null;
  const { commit, pageSize } = journal.readHeader(row);
  if (commit !== request.pages || pageSize !== request.pageSize) return null;
  const next = toTxid(row.maxTxid + 1n);
  const [following] = store.segments(database, {
    epoch: epochAfter(context, database, row.maxTxid),
    kind: "segment",
    fromTxid: next,
    limit: 1,
  });
  const isEnd = store.database(database)?.received?.txid === row.maxTxid;
  return isEnd || (following !== undefined && following.minTxid <= next) ? row : null;
}

/** "You are there": a difference without pages. */
async function writeNothing(context: MemberContext, row: SegmentRow, options: AnswerOptions): Promise<DifferenceFile> {
  const { timestampMs, nodeId, commit, pageSize } = context.journal.readHeader(row);
  const { database, epoch, maxTxid, postApplyChecksum } = row;
  const plan: SegmentPlan = {
    ...{ database, epoch, kind: "segment", minTxid: maxTxid, maxTxid, pageSize, pageCount: commit },
    ...{ preApplyChecksum: postApplyChecksum, timestampMs, nodeId },
    wal: { offset: 0n, size: 0n, salt1: 0, salt2: 0 },
  };
  const contents = { pages: [], checksum: () => postApplyChecksum, onProgress: () => undefined };
  const { bytes } = await cutSegment(new SegmentWriter(options.path), contents, plan);
  return { maxTxid, bytes, pages: 0 };
}

async function writePages(
  context: MemberContext,
  database: string,
  source: VerificationSource,
  { request, sumsPath, path, stop }: AnswerOptions,
): Promise<DifferenceFile> {
  const { baseline, position } = source;
  const maxTxid = position.txid;
  // A difference cannot begin with the first transaction: that is what a snapshot does.
  const isWhole = sumsPath === null || maxTxid === 1n || request.pageSize !== baseline.pageSize;
  const chosen = isWhole ? null : await differingPages(source, request, sumsPath);
  const from = parseTxid(request.from ?? "") ?? maxTxid;
  const minTxid = toTxid(isWhole ? 1n : from <= maxTxid ? from : maxTxid);
  const preApplyChecksum = isWhole ? NO_CHECKSUM : (parseChecksum(request.checksum ?? "") ?? NO_CHECKSUM);
  const kind = isWhole ? ("snapshot" as const) : ("segment" as const);
  const own = planSegment(context, { database, kind, minTxid, maxTxid }, baseline, preApplyChecksum);
  const plan = { ...own, ...originAt(context, database, position) };
  const expected = chosen?.checksum ?? position.checksum;
  const contents = {
    pages: chosen === null ? baseline.pages() : pagesOf(source, chosen.pgnos),
    checksum: (written: Checksum) => {
      if (written !== expected) throw damaged(database);
      return position.checksum;
    },
    onProgress: () => {
      stop.throwIfAborted();
      assertWalAllowed(context, database, source);
      const what = "the pages for a follower";
      assertFree(context.self.state, context.configuration.journal, { bytes: PROGRESS_BYTES, what });
    },
  };
  const { bytes, pages } = await cutSegment(new SegmentWriter(path), contents, plan);
  return { maxTxid, bytes, pages };
}

/** Who committed what is there, and when: a copy of it is no less that member's. */
function originAt(
  context: MemberContext,
  database: string,
  { txid, checksum }: Position,
): { nodeId?: bigint; timestampMs?: number } {
  const rows = context.store.catalogue.endingAt(database, txid);
  const row = rows.findLast((each) => each.postApplyChecksum === checksum);
  if (row === undefined) return {};
  const { nodeId, timestampMs } = context.journal.readHeader(row);
  return { nodeId, timestampMs };
}

interface ChosenPages {
  readonly pgnos: Uint32Array;
  /** Of these pages alone. */
  readonly checksum: Checksum;
}

/** Compares checksums only: no page is read. */
async function differingPages(source: VerificationSource, request: ResyncView, sumsPath: string): Promise<ChosenPages> {
  using store = new PageSumsStore(sumsPath);
  const theirs: PageChecksums = new PageChecksumTable(store, request.pages);
  const { checksums } = source;
  const { pageSize, pageCount } = source.baseline;
  const lockPage = lockBytePage(pageSize);
  const [wanted, found] = [new Uint32Array(2), new Uint32Array(2)];
  const turns = new Turns();
  let pgnos = new Uint32Array(256);
  let [count, high, low] = [0, 0, 0];
  for (let pgno = 1; pgno <= pageCount; pgno++) {
    await turns.spent(BYTES_PER_COMPARISON);
    if (pgno === lockPage) continue;
    checksums.get(pgno, wanted);
    theirs.get(pgno, found);
    const [wantedHigh = 0, wantedLow = 0] = wanted;
    if (found[0] === wantedHigh && found[1] === wantedLow) continue;
    if (count === pgnos.length) {
      const longer = new Uint32Array(2 * count);
      longer.set(pgnos);
      pgnos = longer;
    }
    pgnos[count++] = pgno;
    high ^= wantedHigh;
    low ^= wantedLow;
  }
  const checksum = halvesToChecksum(high, low) | CHECKSUM_FLAG;
  return { pgnos: pgnos.subarray(0, count), checksum: checksum as Checksum };
}

function* pagesOf({ baseline }: VerificationSource, pgnos: Uint32Array): Generator<Page> {
  const data = new Uint8Array(baseline.pageSize);
  for (const pgno of pgnos) {
    baseline.readPage(pgno, data);
    yield { pgno, data };
  }
}

function damaged(database: string): MemberError {
  return new MemberError("SNAPSHOT_CHECKSUM", `pages of ${database} are not those of the journal's end`, {
    hint: "Run `afterimage verify` on this member: something else changed the database, or the disk gave back other bytes.",
  });
}

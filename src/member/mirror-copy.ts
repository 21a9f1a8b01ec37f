/**
 * A mirror's own copy of one database: opened, brought forward by batches of segments, its WAL kept short.
 *
 * Guarantee: a batch becomes visible as one commit, after the copy's checksum has been found equal to the operational
 * database's; the position, the page checksums and the mark of our own last commit then move in one transaction. What is
 * about to be integrated is recorded first, so that after a crash the same batch, and no smaller one, is applied again:
 * readers never see the database go back. One thing at a time: the caller sees to that.
 */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { pathOf, patternDirectory } from "../config/database-pattern.ts";
import { makeDirectory } from "../durable-files.ts";
import type { FileSource } from "../journal/file-source.ts";
import type { SegmentRow } from "../journal/segment-catalogue.ts";
import type { DatabaseRow } from "../journal/state-store.ts";
import type { Position } from "../ltx/position.ts";
import { SegmentError } from "../ltx/segment-error.ts";
import { type SegmentSummary, verifySegmentInSlices } from "../ltx/verify-segment.ts";
import { DatabaseError } from "../sqlite/database-error.ts";
import { discardPrepared, finishMirror } from "../sqlite/mirror-creation.ts";
import { type IntegrationStep, MirrorDatabase } from "../sqlite/mirror-database.ts";
import { type FrozenChecksums, PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import type { PageRun } from "../sqlite/page-run.ts";
import type { WalMark } from "../sqlite/wal-mark.ts";
import { assertFree } from "./free-space.ts";
import { type Batch, intentOf, nextBatch } from "./integration-batch.ts";
import type { MemberContext } from "./member-context.ts";
import { mergeProven, mergeSegments } from "./merged-segments.ts";
import { parseRecord, recordOf } from "./mirror-record.ts";
import { isOf, type PreparedCopy, prepareCopy } from "./prepared-copy.ts";

const CHECKPOINT_FRAMES = 1000;
const CHECKPOINT_RETRY_MS = 500;
/** Of a first copy, whose progress is noted. */
const PAGES_A_NOTE = 1024;

/** Points between which a mirror may die: those of the database, and what is recorded before and after it. */
export type CopyStep = IntegrationStep | "announced" | "recorded";

export class MirrorCopy {
  readonly #context: MemberContext;
  readonly #name: string;
  readonly #path: string;
  readonly #onStep: (step: CopyStep) => void;
  #table: PageChecksumTable;
  #prepared: PreparedCopy | null = null;
  #database: MirrorDatabase | null = null;
  #beats = 0;
  #walHeld = false;
  #checkpointAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: MemberContext, name: string, path: string, onStep: (step: CopyStep) => void) {
    this.#context = context;
    this.#name = name;
    this.#path = path;
    this.#onStep = onStep;
    this.#table = this.#storedTable();
  }

  #storedTable(): PageChecksumTable {
    const { store } = this.#context;
    const row = store.database(this.#name);
    return new PageChecksumTable(store.chunkStore(this.#name), row?.pageCount ?? 0, row?.integrated?.checksum);
  }

  get isOpen(): boolean {
    return this.#database !== null;
  }

  /** Bytes of its WAL that are in use; null while it is not open. */
  get walBytes(): number | null {
    return this.#database?.walBytes ?? null;
  }

  /** Another number whenever integration has moved on. */
  get beats(): number {
    return this.#beats;
  }

  /** Whether the last attempt to shorten the WAL has failed. */
  get isWalHeld(): boolean {
    return this.#walHeld;
  }

  /** The checksums of all pages as they are now, whatever is integrated later. */
  freezeChecksums(): FrozenChecksums {
    return this.#table.freeze();
  }

  /** The open database, opened if need be. A batch that a crash left appended but not recorded is recorded now. */
  async open(): Promise<MirrorDatabase> {
    if (this.#database !== null) return this.#database;
    const row = this.#row();
    const { begun, ...record } = parseRecord(row);
    const database = await MirrorDatabase.open(this.#path, { table: this.#table, ...record, onStep: this.#onStep });
    this.#database = database;
    if (database.wasUnfenced) this.#reportFence();
    const batch = begun === null ? null : nextBatch(this.#context.store.catalogue, this.#name, row);
    if (database.opened === "adopted" && batch !== null) this.#record(batch, this.#table.pageCount, database.mark);
    return database;
  }

  /** Integrates the batch: the copy's first state, a snapshot, or what comes next. */
  async integrate(batch: Batch): Promise<void> {
    this.makeDirectory();
    this.#assertRoom(batch);
    if (this.#row()?.integrated == null) await this.#create(batch);
    else await this.#apply(batch, await this.open());
  }

  /**
   * For the WAL, and for what the file grows by at a checkpoint. Of a snapshot only what differs is written, which nobody
   * knows beforehand: it fails when that is too much, and leaves nothing behind.
   */
  #assertRoom({ rows, last, snapshot }: Batch): void {
    const row = this.#row();
    const isNew = row?.integrated == null;
    const share = isNew ? 1 : snapshot ? 0 : 2;
    const pages = isNew || snapshot ? last.pages : this.#distinctPages(rows, last);
    this.#assertFree(share * pages * (row?.pageSize ?? 0));
  }

  #assertFree(bytes: number): void {
    assertFree(dirname(this.#path), this.#context.configuration.journal, { bytes, what: `the database ${this.#name}` });
  }

  /** At most: a commit has no more pages than the database has after it. */
  #distinctPages(rows: readonly SegmentRow[], last: SegmentRow): number {
    const pages = rows.reduce((sum, each) => sum + each.pages, 0);
    return rows.length === 1 ? pages : Math.min(pages, this.#context.journal.readHeader(last).commit);
  }

  /**
   * Reads the snapshot that the journal shall begin with, to check it, and writes a new copy's file on the way, where nobody
   * looks for it yet: so that it need not be read again when it is integrated. @throws SegmentError when it is not intact.
   */
  async checkFirst(source: FileSource): Promise<SegmentSummary> {
    this.#dropPrepared();
    try {
      if (this.#row()?.integrated == null && !existsSync(this.#path)) {
        this.makeDirectory();
        this.#prepared = await prepareCopy(this.#path, source, {
          table: new PageChecksumTable(this.#context.store.chunkStore(this.#name)),
          assertRoom: (bytes) => this.#assertFree(bytes),
          counted: (run) => this.#seeding(this.#counted(run)),
        });
        return this.#prepared.summary;
      }
    } catch (error) {
      if (error instanceof SegmentError) throw error;
      // What is wrong with this machine is for integration to tell, and does not keep the journal from being received.
    }
    return await verifySegmentInSlices(source);
  }

  /** A new database file, fenced from its first moment. */
  async #create(batch: Batch): Promise<void> {
    try {
      const pageCount = this.#takePrepared(batch) ?? (await this.#write(batch));
      this.#record(batch, pageCount, null);
    } catch (error) {
      this.#table.discard();
      throw error;
    }
    this.#context.event("info", "MIRROR_CREATED", this.#name, "the mirror begins with a snapshot", {
      txid: batch.last.maxTxid.toString(),
      pages: batch.last.pages,
    });
    this.#context.work.finish({ kind: "seed", database: this.#name }, batch.last.pages * (this.#row()?.pageSize ?? 0));
  }

  #seeding(run: PageRun): PageRun {
    const [name, { work }] = [this.#name, this.#context];
    const total = run.pageCount * run.pageSize;
    return {
      ...run,
      *pages() {
        let done = 0;
        for (const page of run.pages()) {
          done += run.pageSize;
          if (page.pgno % PAGES_A_NOTE === 0) work.note({ kind: "seed", database: name, step: "writing", done, total });
          yield page;
        }
      },
    };
  }

  /** The pages of the copy that was prepared from this very snapshot, which has its name then; null when there is none. */
  #takePrepared({ last }: Batch): number | null {
    const prepared = this.#prepared;
    this.#prepared = null;
    if (prepared === null || existsSync(this.#path) || !isOf(prepared, last)) return null;
    finishMirror(this.#path);
    this.#table = prepared.table;
    return prepared.summary.header.commit;
  }

  #dropPrepared(): void {
    if (this.#prepared !== null) discardPrepared(this.#path);
    this.#prepared = null;
  }

  async #write({ last }: Batch): Promise<number> {
    discardPrepared(this.#path);
    using source = this.#context.journal.open(last);
    const { run, ...proof } = mergeSegments([source], last.postApplyChecksum);
    const take = existsSync(this.#path) ? MirrorDatabase.adopt : MirrorDatabase.create;
    await take(this.#path, this.#seeding(this.#counted(run)), { table: this.#table, ...proof });
    return run.pageCount;
  }

  /** The state speaks of other contents of the copy, which is closed, than it did. */
  reload(): void {
    this.#dropPrepared();
    this.#table = this.#storedTable();
  }

  /** Where the `*` of a pattern stands for directories, each new database needs one of its own. */
  makeDirectory(): void {
    if (this.#row()?.integrated != null) return;
    const pattern = this.#context.self.databasePatterns.find((each) => pathOf(each, this.#name) === this.#path);
    if (pattern !== undefined && existsSync(patternDirectory(pattern))) makeDirectory(dirname(this.#path));
  }

  async #apply(batch: Batch, database: MirrorDatabase): Promise<void> {
    const { journal, store } = this.#context;
    try {
      using merged = await mergeProven(
        batch.rows.map((row) => () => journal.open(row)),
        batch.last.postApplyChecksum,
      );
      const { run, ...proof } = merged;
      store.saveDatabase(this.#name, { intent: intentOf(batch, run.pageCount) });
      this.#onStep("announced");
      const mark = batch.snapshot
        ? await database.integrateDifference(this.#counted(run), proof)
        : await database.integrate(this.#counted(run), proof);
      this.#record(batch, run.pageCount, mark);
    } catch (error) {
      this.#table.discard();
      // A file that was damaged in the journal is named; the database itself is not what is wrong then.
      if (isWrongChecksum(error)) await this.#verifyFiles(batch);
      throw error;
    }
  }

  async #verifyFiles({ rows }: Batch): Promise<void> {
    for (const row of rows) {
      using source = this.#context.journal.open(row);
      await verifySegmentInSlices(source);
    }
  }

  #counted(run: PageRun): PageRun {
    const copy = this;
    return {
      ...run,
      *pages() {
        for (const page of run.pages()) {
          copy.#beats++;
          yield page;
        }
      },
    };
  }

  #record(batch: Batch, pageCount: number, mark: WalMark | null): void {
    const { store, history } = this.#context;
    const { last } = batch;
    const before = this.#row()?.integrated?.txid ?? 0n;
    const end: Position = { epoch: last.epoch, txid: last.maxTxid, checksum: this.#table.checksum };
    const integrated = history.forward(this.#name, end);
    store.transaction(() => {
      this.#table.flush();
      store.saveDatabase(this.#name, {
        integrated,
        integratedTimeMs: last.timestampMs,
        integratedAtMs: this.#context.nowMs(),
        pageCount,
        mirrorMark: mark === null ? null : recordOf(this.#database, mark),
        intent: null,
      });
    });
    this.#table.settle();
    this.#context.tally.add("integratedTransactions", this.#name, Math.max(0, Number(last.maxTxid - before)));
    this.#onStep("recorded");
  }

  /** Looks for changes by others. @throws DatabaseError MIRROR_INCONSISTENT */
  async examine(): Promise<void> {
    if ((await this.#database?.examine()) === "fenced") this.#reportFence();
  }

  #reportFence(): void {
    const message = "somebody had removed the fence; no page had changed, and the fence is back";
    this.#context.event("error", "FENCE_RESTORED", this.#name, message);
  }

  /** Checkpoints the open database when its WAL has become long and no reader needs it. */
  shortenWal(): void {
    const database = this.#database;
    const nowMs = this.#context.nowMs();
    const isWanted = database !== null && database.walFrames >= CHECKPOINT_FRAMES;
    if (!isWanted) this.#walHeld = false;
    if (!isWanted || nowMs < this.#checkpointAtMs) return;
    this.#walHeld = database.checkpoint() !== "truncated";
    // The file is another one now; without this, every page would be compared after a crash.
    this.#context.store.saveDatabase(this.#name, { mirrorMark: recordOf(database, database.mark) });
    if (this.#walHeld) this.#checkpointAtMs = nowMs + CHECKPOINT_RETRY_MS;
  }

  /**
   * Closes the database so that it is recognised when it is opened again; harmless when it is closed.
   * @throws DatabaseError MIRROR_INCONSISTENT; then it is still open.
   */
  async close(): Promise<void> {
    this.#dropPrepared();
    const database = this.#database;
    if (database === null) return;
    database.checkForeignChange();
    this.#database = null;
    const mirrorMark = recordOf(database, database.mark);
    this.#context.store.saveDatabase(this.#name, { mirrorMark, closedSignature: await database.close() });
  }

  /** Closes the database, so that the next attempt begins with a look at what is there now, without trusting any of it. */
  async abandon(): Promise<void> {
    const database = this.#database;
    this.#database = null;
    await database?.close();
    this.#context.store.saveDatabase(this.#name, { closedSignature: null });
  }

  #row(): DatabaseRow | null {
    return this.#context.store.database(this.#name);
  }
}

function isWrongChecksum(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === "INTEGRATION_CHECKSUM";
}

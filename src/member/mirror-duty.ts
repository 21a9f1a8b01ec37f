/**
 * What a mirror does for one database: take in what arrived, and integrate the journal into its own copy.
 *
 * Guarantee: a batch of segments becomes visible as one commit, after the copy's checksum has been found equal to the
 * operational database's; the position, the page checksums and the mark of our own last commit then move in one
 * transaction. What is about to be integrated is recorded first, so that after a crash the same batch, and no smaller
 * one, is applied again: readers never see the database go back.
 */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { BackupError } from "../backup/backup-error.ts";
import { DatabaseLock, describeHolder } from "../backup/database-lock.ts";
import { pathOf, patternDirectory } from "../config/database-pattern.ts";
import { makeDirectory } from "../durable-files.ts";
import type { DatabaseRow } from "../journal/state-store.ts";
import { formatPosition, type Position, parseChecksum, type Txid } from "../ltx/position.ts";
import { type IntegrationStep, MirrorDatabase } from "../sqlite/mirror-database.ts";
import { PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import type { PageRun } from "../sqlite/page-run.ts";
import { parseClosedSignature, parseWalMark, type WalMark } from "../sqlite/wal-mark.ts";
import type { CutSegment } from "./cut-segment.ts";
import { DutyErrors } from "./duty-errors.ts";
import { Inbox } from "./inbox.ts";
import { isEmptyInbox } from "./inbox-directory.ts";
import { type Batch, intentOf, nextBatch, parseIntent } from "./integration-batch.ts";
import type { MemberContext } from "./member-context.ts";
import type { IntegrationResult } from "./member-control.ts";
import { databaseClosed } from "./member-error.ts";
import { mergeSegments } from "./merged-segments.ts";
import { Serial } from "./serial.ts";
import { type SnapshotSource, writeSnapshot } from "./snapshot.ts";
import type { VerificationSource } from "./verification.ts";

const CHECKPOINT_FRAMES = 1000;
const CHECKPOINT_RETRY_MS = 500;

/** Points between which a mirror may die: those of the database, and what is recorded before and after it. */
export type MirrorStep = IntegrationStep | "received" | "announced" | "recorded";

export class MirrorDuty {
  readonly name: string;
  readonly inbox: Inbox;
  readonly #path: string;
  readonly #context: MemberContext;
  readonly #serial = new Serial();
  readonly #errors: DutyErrors;
  readonly #onStep: (step: MirrorStep) => void;
  readonly #table: PageChecksumTable;
  #database: MirrorDatabase | null = null;
  /** Opened with the first batch. */
  #lock: DatabaseLock | null = null;
  #heldBy: string | null = null;
  #snapshotting = false;
  #beats = 0;
  #walHeld = false;
  #isRetired = false;
  #checkpointAtMs = Number.NEGATIVE_INFINITY;

  /** @param onStep called at every named step of integration; for fault tests. */
  constructor(context: MemberContext, name: string, path: string, onStep?: (step: MirrorStep) => void) {
    this.name = name;
    this.inbox = new Inbox(context, name);
    this.#path = path;
    this.#context = context;
    this.#errors = new DutyErrors(context, name);
    this.#onStep = onStep ?? (() => {});
    const row = context.store.database(name);
    this.#table = new PageChecksumTable(context.store.chunkStore(name), row?.pageCount ?? 0, row?.integrated?.checksum);
  }

  /** Bytes of the mirror's WAL that are in use; null while the database is not open. */
  get walBytes(): number | null {
    return this.#database?.walBytes ?? null;
  }

  /** The backup that integration waits for, as `backup (process 1, since ...)`; null when it waits for none. */
  get heldBy(): string | null {
    return this.#heldBy;
  }

  /** Another number whenever integration has moved on. */
  get beats(): number {
    return this.#beats;
  }

  /** Whether the last attempt to shorten the WAL has failed, and not for a snapshot of ours. */
  get isWalHeld(): boolean {
    return this.#walHeld && !this.#snapshotting;
  }

  /** Whether it may be reading a whole database or a whole segment only to check it. */
  get isChecking(): boolean {
    return this.#database === null || this.inbox.isTaking;
  }

  /** Whether segments wait that may be integrated. */
  get isIntegrationDue(): boolean {
    const { received, integrated, paused } = this.#row() ?? {};
    return (
      !this.#isRetired && paused !== true && this.#heldBy === null && (received?.txid ?? 0n) > (integrated?.txid ?? 0n)
    );
  }

  /**
   * One turn of the service: takes in what arrived, then integrates what waits. An error stops the integration of this
   * database only; it goes on receiving, and its followers get what it received.
   */
  async poll(upstreamEnd: Txid | null): Promise<void> {
    await this.#serial.run(async () => {
      try {
        if ((await this.inbox.scan(upstreamEnd)) > 0) this.#onStep("received");
        if (this.#errors.waiting) return;
        if (this.#row()?.paused !== true) await this.#integrateAll();
        this.#database?.checkForeignChange();
        await this.#shortenWal();
        this.#errors.clear();
      } catch (error) {
        await this.#fail(error);
      }
    });
  }

  /**
   * Takes in and integrates everything that is there now. Throws what keeps it from doing so: also BackupError
   * INTEGRATION_WHILE_BACKUP, which is no fault of the database.
   */
  async integrate(): Promise<IntegrationResult> {
    const result = await this.#integrateNow();
    if (this.#heldBy === null) return result;
    throw new BackupError("INTEGRATION_WHILE_BACKUP", `integration of ${this.name} waits for a ${this.#heldBy}`, {
      hint: "It is integrated when the backup has read the database; a running daemon does so by itself.",
    });
  }

  async #integrateNow(): Promise<IntegrationResult> {
    return await this.#serial.run(async () => {
      try {
        if (this.#isRetired) throw databaseClosed(this.name);
        await this.inbox.scan(null);
        const transactions = await this.#integrateAll();
        this.#errors.clear();
        const position = this.#row()?.integrated ?? null;
        return { database: this.name, transactions, position: position === null ? null : formatPosition(position) };
      } catch (error) {
        await this.#fail(error);
        throw error;
      }
    });
  }

  /** Begins to verify what is integrated; null when nothing is yet. Throws what keeps it from doing so. */
  async beginVerification(): Promise<VerificationSource | null> {
    return await this.#serial.run(async () => {
      if (this.#row()?.integrated == null) return null;
      const database = await this.#opened();
      // To open it may have recorded a batch that a crash left behind.
      const position = this.#row()?.integrated ?? null;
      if (position === null) return null;
      const baseline = database.baseline();
      const checksums = this.#table.freeze();
      return { path: this.#path, baseline, checksums, position, walBytes: () => this.walBytes };
    });
  }

  /**
   * Writes a snapshot of what is integrated, while integration goes on; null when there is one already or nothing yet, or
   * one is being written. Throws what {@link writeSnapshot} throws.
   */
  async snapshot(): Promise<CutSegment | null> {
    const source = await this.#serial.run(() => this.#beginSnapshot());
    if (source === null) return null;
    try {
      return await writeSnapshot(this.#context, this.name, source);
    } finally {
      this.#snapshotting = false;
    }
  }

  async #beginSnapshot(): Promise<SnapshotSource | null> {
    if (this.#snapshotting || this.#row()?.integrated == null) return null;
    const database = await this.#opened();
    const { integrated, integratedTimeMs } = this.#row() ?? {};
    const newest = this.#context.store.latestSnapshot(this.name, this.#context.epoch);
    if (integrated == null || newest?.maxTxid === integrated.txid) return null;
    const origin = this.#nodeIdAt(integrated.txid);
    const baseline = database.baseline();
    this.#snapshotting = true;
    const timestampMs = integratedTimeMs ?? this.#context.nowMs();
    return { baseline, position: integrated, timestampMs, ...origin, walBytes: () => this.walBytes };
  }

  /** Of the member that committed what is integrated: a copy of it is no less that member's. */
  #nodeIdAt(txid: Txid): { nodeId?: bigint } {
    const row = this.#context.store.catalogue.endingAt(this.name, txid).at(-1);
    return row === undefined ? {} : { nodeId: this.#context.journal.readHeader(row).nodeId };
  }

  /** Whether all that arrived is integrated. */
  get isDone(): boolean {
    const { received, integrated } = this.#row() ?? {};
    return received?.txid === integrated?.txid && isEmptyInbox(this.#context, this.name);
  }

  /** Closes the database; what is asked next opens it again. */
  async close(): Promise<void> {
    await this.#serial.run(() => this.#close());
  }

  /** Closes the database for good: what is asked afterwards fails. */
  async retire(): Promise<void> {
    await this.#serial.run(async () => {
      this.#isRetired = true;
      await this.#close();
    });
  }

  #nextBatch(): Batch | null {
    return nextBatch(this.#context.store.catalogue, this.name, this.#context.epoch, this.#row());
  }

  #row(): DatabaseRow | null {
    return this.#context.store.database(this.name);
  }

  async #integrateAll(): Promise<number> {
    let transactions = 0;
    for (;;) {
      const database = this.#row()?.integrated == null ? null : await this.#opened();
      const before = this.#row()?.integrated?.txid ?? 0n;
      const batch = this.#nextBatch();
      if (batch === null) this.#wait(null);
      if (batch === null || !this.#lockForBatch()) return transactions;
      try {
        if (database === null) await this.#create(batch);
        else await this.#apply(batch, database);
      } finally {
        this.#lock?.freeDatabase();
      }
      transactions += Number(batch.last.maxTxid - before);
      this.#context.changed();
      await this.#shortenWal();
    }
  }

  /** Takes the database for one batch; false when a backup has it. */
  #lockForBatch(): boolean {
    this.#lock ??= DatabaseLock.open(this.#context.self.state, this.name);
    const taken = this.#lock.tryIntegrate();
    this.#wait(taken ? null : describeHolder(this.#lock.holder("backup"), "backup"));
    return taken;
  }

  #wait(heldBy: string | null): void {
    if (heldBy === this.#heldBy) return;
    this.#heldBy = heldBy;
    this.#context.changed();
  }

  /** The mirror's first state: a new database file, fenced from its first moment. */
  async #create(batch: Batch): Promise<void> {
    if (this.#isRetired) throw databaseClosed(this.name);
    this.#makeDirectory();
    using source = this.#context.journal.open(batch.last);
    const { run, ...proof } = mergeSegments([source], batch.last.postApplyChecksum);
    const take = existsSync(this.#path) ? MirrorDatabase.adopt : MirrorDatabase.create;
    try {
      await take(this.#path, this.#counted(run), { table: this.#table, ...proof });
      this.#record(batch, run.pageCount, null);
    } catch (error) {
      this.#table.discard();
      throw error;
    }
    this.#context.event("info", "MIRROR_CREATED", this.name, "the mirror begins with a snapshot", {
      txid: batch.last.maxTxid.toString(),
      pages: batch.last.pages,
    });
  }

  /** Where the `*` of a pattern stands for directories, each database needs one of its own. */
  #makeDirectory(): void {
    const pattern = this.#context.self.databasePatterns.find((each) => pathOf(each, this.name) === this.#path);
    if (pattern !== undefined && existsSync(patternDirectory(pattern))) makeDirectory(dirname(this.#path));
  }

  async #apply(batch: Batch, database: MirrorDatabase): Promise<void> {
    const sources = batch.rows.map((row) => this.#context.journal.open(row));
    try {
      const { run, ...proof } = mergeSegments(sources, batch.last.postApplyChecksum);
      this.#context.store.saveDatabase(this.name, { intent: intentOf(batch, run.pageCount) });
      this.#onStep("announced");
      const mark = batch.snapshot
        ? await database.integrateDifference(this.#counted(run), proof)
        : await database.integrate(this.#counted(run), proof);
      this.#record(batch, run.pageCount, mark);
    } catch (error) {
      this.#table.discard();
      throw error;
    } finally {
      for (const source of sources) source.close();
    }
  }

  #counted(run: PageRun): PageRun {
    const duty = this;
    return {
      ...run,
      *pages() {
        for (const page of run.pages()) {
          duty.#beats++;
          yield page;
        }
      },
    };
  }

  #record(batch: Batch, pageCount: number, mark: WalMark | null): void {
    const { store, epoch } = this.#context;
    const { last } = batch;
    const integrated: Position = { epoch, txid: last.maxTxid, checksum: this.#table.checksum };
    store.transaction(() => {
      this.#table.flush();
      store.saveDatabase(this.name, {
        integrated,
        integratedTimeMs: last.timestampMs,
        integratedAtMs: this.#context.nowMs(),
        pageCount,
        mirrorMark: mark,
        intent: null,
      });
    });
    this.#table.settle();
    this.#onStep("recorded");
  }

  /** The open database, opened if need be. A batch that a crash left appended but not recorded is recorded now. */
  async #opened(): Promise<MirrorDatabase> {
    if (this.#database !== null) return this.#database;
    if (this.#isRetired) throw databaseClosed(this.name);
    const row = this.#row();
    const intent = parseIntent(row?.intent);
    const database = await MirrorDatabase.open(this.#path, {
      table: this.#table,
      saved: parseWalMark(row?.mirrorMark),
      closed: parseClosedSignature(row?.closedSignature),
      intent: intent === null ? null : { pageCount: intent.pageCount, checksum: parseChecksum(intent.checksum ?? "") },
      onStep: this.#onStep,
    });
    this.#database = database;
    const begun = intent === null ? null : this.#nextBatch();
    if (database.opened === "adopted" && begun !== null) this.#record(begun, this.#table.pageCount, database.mark);
    return database;
  }

  async #shortenWal(): Promise<void> {
    const database = this.#database;
    const nowMs = this.#context.nowMs();
    const isWanted = database !== null && database.walFrames >= CHECKPOINT_FRAMES;
    if (!isWanted) this.#walHeld = false;
    if (!isWanted || nowMs < this.#checkpointAtMs) return;
    this.#walHeld = database.checkpoint() !== "truncated";
    if (this.#walHeld) this.#checkpointAtMs = nowMs + CHECKPOINT_RETRY_MS;
  }

  /** Closes the database, so that the next attempt begins with a look at what is there now, without trusting any of it. */
  async #fail(error: unknown): Promise<void> {
    const database = this.#database;
    if (this.#isRetired && database === null) return;
    this.#database = null;
    await database?.close();
    this.#context.store.saveDatabase(this.name, { closedSignature: null });
    this.#errors.report(error);
  }

  async #close(): Promise<void> {
    this.#lock?.close();
    this.#lock = null;
    const database = this.#database;
    if (database === null) return;
    try {
      database.checkForeignChange();
    } catch (error) {
      await this.#fail(error);
      return;
    }
    this.#database = null;
    this.#context.store.saveDatabase(this.name, { closedSignature: await database.close() });
  }
}

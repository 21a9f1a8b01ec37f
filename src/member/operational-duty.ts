/**
 * What the operational member does for one database: capture what applications commit, cut it into segments, and keep
 * the WAL short.
 *
 * Guarantee: a segment's file is durable before the catalogue, the page checksums and the WAL position, which move in
 * one transaction; so after a crash the journal either has a segment or the WAL is read from the same place again.
 * When commits may have passed unseen, one resync segment with the pages that differ bridges the gap.
 */
import { formatSegmentName } from "../journal/segment-name.ts";
import type { DatabaseRow } from "../journal/state-store.ts";
import { formatPosition, NO_CHECKSUM, type Position, type Txid } from "../ltx/position.ts";
import { comparePages } from "../sqlite/compare-pages.ts";
import { DatabaseError } from "../sqlite/database-error.ts";
import { fence, isFenced, unfence } from "../sqlite/fence.ts";
import { type CapturedChange, OperationalDatabase } from "../sqlite/operational-database.ts";
import { PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import { diffBaseline } from "../sqlite/page-difference.ts";
import type { Page } from "../sqlite/page-run.ts";
import { stageChecksums } from "../sqlite/stage-checksums.ts";
import { frameOffset, type WalPosition } from "../sqlite/wal-format.ts";
import { samePosition } from "../sqlite/wal-position.ts";
import { type CutSegment, cutSegment, nodeId, type SegmentPlan } from "./cut-segment.ts";
import { DutyErrors } from "./duty-errors.ts";
import type { MemberContext } from "./member-context.ts";
import type { FenceResult, RotationResult, VerificationResult } from "./member-control.ts";
import { MemberError } from "./member-error.ts";
import { Serial } from "./serial.ts";
import { untilWritten } from "./until-written.ts";

/** The WAL is handed off and checkpointed when it has grown past SQLite's own default of 1000 frames. */
const CHECKPOINT_FRAMES = 1000;
const CHECKPOINT_RETRY_MS = 1_000;
const IDENTITY_INTERVAL_MS = 1_000;
/** After so long without a write the WAL is watched instead of being looked at again and again. */
const QUIET_AFTER_MS = 1_000;

export class OperationalDuty {
  readonly name: string;
  readonly #path: string;
  readonly #context: MemberContext;
  readonly #serial = new Serial();
  readonly #errors: DutyErrors;
  readonly #table: PageChecksumTable;
  #database: OperationalDatabase | null = null;
  #fenced = false;
  #walBytes: number | null = null;
  #identityCheckedAtMs = Number.NEGATIVE_INFINITY;
  #checkpointAtMs = Number.NEGATIVE_INFINITY;
  #writtenAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: MemberContext, name: string, path: string) {
    this.name = name;
    this.#path = path;
    this.#context = context;
    this.#errors = new DutyErrors(context, name);
    const row = context.store.database(name);
    this.#table = new PageChecksumTable(context.store.chunkStore(name), row?.pageCount ?? 0, row?.received?.checksum);
  }

  get fenced(): boolean {
    return this.#fenced;
  }

  /** Bytes of the WAL that were in use at the last turn; null while the database is not open. */
  get walBytes(): number | null {
    return this.#walBytes;
  }

  /**
   * One turn of the service: opens the database when it is not open, notices when it was replaced or removed, cuts what
   * is new when `rotate` is asked for, and shortens the WAL. Errors are kept in the state and shown by status; the next
   * turns try again.
   */
  async poll(options: { rotate: boolean }): Promise<void> {
    await this.#serial.run(async () => {
      try {
        if (!(await this.#ready())) return;
        if (options.rotate && this.#opened().hasNewCommits()) {
          this.#writtenAtMs = this.#context.nowMs();
          await this.#cutAll();
        }
        await this.#shortenWal();
        this.#walBytes = this.#opened().walBytes;
      } catch (error) {
        this.#fail(error);
      }
    });
  }

  /**
   * While applications write it returns at once; when they do not, it waits for a write to the WAL, at most `timeoutMs`.
   * A write is seen before its commit is, so after one it goes on returning at once for a while.
   */
  async untilWritten(timeoutMs: number, stop: AbortSignal): Promise<void> {
    const database = this.#database;
    if (database === null || this.#context.nowMs() - this.#writtenAtMs < QUIET_AFTER_MS) return;
    const alreadyWritten = () => database !== this.#database || database.hasNewCommits();
    const written = await untilWritten(`${this.#path}-wal`, { timeoutMs, alreadyWritten, stop });
    if (written) this.#writtenAtMs = this.#context.nowMs();
  }

  /** Cuts everything that was committed before the call. Throws what keeps it from doing so. */
  async rotate(): Promise<RotationResult> {
    return await this.#serial.run(async () => {
      try {
        if (this.#database === null) await this.#open();
        const segments = await this.#cutAll();
        return { database: this.name, segments, position: formatPosition(this.#position()) };
      } catch (error) {
        this.#fail(error);
        throw error;
      }
    });
  }

  /** Fences (or unfences) the database; applications' writes fail with SQLITE_READONLY (or may go on once they reopen). */
  async setFence(fenced: boolean): Promise<FenceResult> {
    return await this.#serial.run(async () => {
      if (this.#database === null) await this.#open();
      const changed = await (fenced ? fence : unfence)(this.#path);
      this.#fenced = fenced;
      await this.#cutAll();
      // A connection that was open before a database was unfenced still takes it for read-only: ours as well.
      if (changed && !fenced) this.#close();
      this.#context.event(
        "warn",
        fenced ? "FENCED" : "UNFENCED",
        this.name,
        fenced ? "writes are refused" : "writes are allowed",
      );
      return { database: this.name, fenced, changed };
    });
  }

  /** Compares every page with the checksum table at one position; writers go on meanwhile. */
  async verify(): Promise<VerificationResult> {
    return await this.#serial.run(async () => {
      if (this.#database === null) await this.#open();
      const database = this.#opened();
      const baseline = database.baseline();
      try {
        await this.#cutAll(baseline.position);
        const { pages, problems } = await comparePages(this.#table, baseline);
        return {
          database: this.name,
          ok: problems.length === 0,
          position: formatPosition(this.#position()),
          pages,
          problems,
        };
      } finally {
        baseline.close();
      }
    });
  }

  async close(): Promise<void> {
    await this.#serial.run(async () => this.#close());
  }

  async #ready(): Promise<boolean> {
    const nowMs = this.#context.nowMs();
    if (this.#database === null) {
      if (this.#errors.waiting) return false;
      await this.#open();
    } else if (nowMs - this.#identityCheckedAtMs >= IDENTITY_INTERVAL_MS) {
      this.#database.checkIdentity();
      this.#identityCheckedAtMs = nowMs;
    }
    return true;
  }

  /** Opens the database and makes the journal's end and the database's state meet: nothing, a resync segment, or a first snapshot. */
  async #open(): Promise<void> {
    const row = this.#context.store.database(this.name);
    const database = OperationalDatabase.open(this.#path, { saved: row?.walPosition ?? null });
    this.#database = database;
    this.#fenced = await isFenced(this.#path);
    if (row?.received == null) await this.#firstSnapshot(database);
    else if (database.resumed.kind === "gap") await this.#resync(database, row, database.resumed.reason);
    else this.#context.event("info", "CAPTURE_CONTINUED", this.name, "capture goes on where it ended");
    this.#errors.clear();
  }

  async #firstSnapshot(database: OperationalDatabase): Promise<void> {
    const baseline = database.baseline();
    try {
      const plan = this.#plan(baseline, "snapshot", 1n as Txid, 1n as Txid);
      const { pages, bytes } = await this.#cut(stageChecksums(this.#table, baseline), plan, baseline.position);
      database.adopt(baseline);
      this.#context.event("info", "SNAPSHOT_CUT", this.name, "the journal begins with a snapshot", { pages, bytes });
    } finally {
      baseline.close();
    }
  }

  /** Bridges a gap: only the pages that differ from what the journal says become a segment. */
  async #resync(database: OperationalDatabase, row: DatabaseRow, reason: string): Promise<void> {
    if (row.pageSize !== null && row.pageSize !== database.pageSize) {
      throw new MemberError(
        "PAGE_SIZE_CHANGED",
        `the database's pages have ${database.pageSize} bytes, the journal's ${row.pageSize}`,
        {
          path: this.#path,
          hint: "Put the former database back, or remove this database's state and start its mirrors anew.",
        },
      );
    }
    const baseline = database.baseline();
    try {
      const txid = (this.#position().txid + 1n) as Txid;
      const pages = prefetchFirst(diffBaseline(baseline, this.#table).pages());
      let segment: CutSegment | null = null;
      if (pages === null && baseline.pageCount === row.pageCount) this.#saveWalPosition(baseline.position);
      else segment = await this.#cut(pages ?? [], this.#plan(baseline, "segment", txid, txid), baseline.position);
      database.adopt(baseline);
      const message = segment === null ? `nothing was missed (${reason})` : `the gap is bridged (${reason})`;
      this.#context.event(segment === null ? "info" : "warn", "RESYNC", this.name, message, {
        pages: segment?.pages ?? 0,
        bytes: segment?.bytes ?? 0,
      });
    } finally {
      baseline.close();
    }
  }

  /** Cuts all that is committed now, or all up to `until`; what writers add meanwhile is left for the next time. */
  async #cutAll(until?: WalPosition): Promise<string[]> {
    const database = this.#opened();
    const { maxSegmentBytes } = this.#context.configuration.journal;
    const end = until ?? database.end;
    const names: string[] = [];
    while (!samePosition(database.position, end)) {
      const change = database.capture({ maxBytes: maxSegmentBytes, until: end });
      if (change === null) break;
      names.push(await this.#cutChange(change));
      database.accept(change);
    }
    return names;
  }

  async #cutChange(change: CapturedChange): Promise<string> {
    const minTxid = (this.#position().txid + 1n) as Txid;
    const maxTxid = (minTxid + BigInt(change.commits) - 1n) as Txid;
    const plan: SegmentPlan = {
      ...this.#plan(change, "segment", minTxid, maxTxid),
      wal: { offset: change.walOffset, size: change.walSize, salt1: change.to.salt1, salt2: change.to.salt2 },
    };
    await this.#cut(stageChecksums(this.#table, change), plan, change.to);
    return formatSegmentName({ minTxid, maxTxid });
  }

  #plan(
    run: { pageSize: number; pageCount: number; position?: WalPosition },
    kind: SegmentPlan["kind"],
    minTxid: Txid,
    maxTxid: Txid,
  ): SegmentPlan {
    const { epoch, self } = this.#context;
    const { salt1 = 0, salt2 = 0, frame = 0 } = run.position ?? {};
    return {
      database: this.name,
      epoch,
      kind,
      minTxid,
      maxTxid,
      pageSize: run.pageSize,
      pageCount: run.pageCount,
      preApplyChecksum: kind === "snapshot" ? NO_CHECKSUM : this.#position().checksum,
      timestampMs: this.#context.nowMs(),
      nodeId: nodeId(epoch, self.name),
      wal: { offset: BigInt(frameOffset(frame + 1, run.pageSize)), size: 0n, salt1, salt2 },
    };
  }

  /** Writes one segment and moves the journal's end, the page checksums and the WAL position together. */
  async #cut(pages: Iterable<Page>, plan: SegmentPlan, walPosition: WalPosition): Promise<CutSegment> {
    const { store, journal, epoch } = this.#context;
    try {
      const cut = await cutSegment(journal, this.#table, pages, plan);
      const position: Position = { epoch, txid: plan.maxTxid, checksum: cut.postApplyChecksum };
      store.transaction(() => {
        this.#table.flush();
        store.addSegment({ ...plan, ...cut, addedAtMs: this.#context.nowMs() });
        store.saveDatabase(this.name, {
          received: position,
          integrated: position,
          receivedTimeMs: plan.timestampMs,
          integratedTimeMs: plan.timestampMs,
          pageSize: plan.pageSize,
          pageCount: plan.pageCount,
          walPosition,
        });
      });
      this.#table.settle();
      this.#context.journalGrew(this.name);
      return cut;
    } catch (error) {
      this.#table.discard();
      throw error;
    }
  }

  #saveWalPosition(walPosition: WalPosition): void {
    this.#context.store.transaction(() => this.#context.store.saveDatabase(this.name, { walPosition }));
  }

  async #shortenWal(): Promise<void> {
    const database = this.#opened();
    const nowMs = this.#context.nowMs();
    // A fenced database has no writers, and would not let us take the write lock.
    if (this.#fenced || database.position.frame < CHECKPOINT_FRAMES || nowMs < this.#checkpointAtMs) return;
    const outcome = await database.checkpoint(async () => {
      await this.#cutAll();
    });
    if (outcome !== "done") this.#checkpointAtMs = nowMs + CHECKPOINT_RETRY_MS;
  }

  #position(): Position {
    const position = this.#context.store.database(this.name)?.received;
    if (position == null) throw new MemberError("NO_SNAPSHOT", `the journal of ${this.name} has not begun yet`);
    return position;
  }

  #opened(): OperationalDatabase {
    if (this.#database === null) throw new MemberError("NO_SNAPSHOT", `${this.name} is not open`);
    return this.#database;
  }

  #close(): void {
    this.#database?.close();
    this.#database = null;
    this.#walBytes = null;
  }

  /** Closes the database, so that the next turn begins with a look at what is there now. */
  #fail(error: unknown): void {
    this.#close();
    // A gap is no fault of the database: opening it again finds the gap and bridges it.
    if (!(error instanceof DatabaseError && error.code === "WAL_GAP")) this.#errors.report(error);
  }
}

/** Takes the first element, so that an empty sequence is known before anything is made of it; null when it is empty. */
function prefetchFirst<T>(source: Iterable<T>): Iterable<T> | null {
  const iterator = source[Symbol.iterator]();
  const first = iterator.next();
  if (first.done === true) return null;
  return (function* () {
    yield first.value;
    for (let step = iterator.next(); step.done !== true; step = iterator.next()) yield step.value;
  })();
}

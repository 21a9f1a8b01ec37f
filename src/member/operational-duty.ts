import type { DatabaseRow } from "../journal/state-store.ts";
import { formatPosition } from "../ltx/position.ts";
import { DatabaseError } from "../sqlite/database-error.ts";
import { fence, isFenced, unfence } from "../sqlite/fence.ts";
import { OperationalDatabase } from "../sqlite/operational-database.ts";
import { PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import { diffBaseline } from "../sqlite/page-difference.ts";
import type { WalPosition } from "../sqlite/wal-format.ts";
import { samePosition } from "../sqlite/wal-position.ts";
import { type CutSegment, PROGRESS_BYTES } from "./cut-segment.ts";
import { DutyErrors, isShortage } from "./duty-errors.ts";
import type { RotationResult } from "./journal-results.ts";
import type { Purpose } from "./journal-space.ts";
import type { MemberContext } from "./member-context.ts";
import type { FenceResult } from "./member-control.ts";
import { databaseClosed, MemberError } from "./member-error.ts";
import { prefetchFirst } from "./prefetch-first.ts";
import { SegmentCutter } from "./segment-cutter.ts";
import { Serial } from "./serial.ts";
import { type SnapshotSource, writeSnapshot } from "./snapshot.ts";
import { untilWritten } from "./until-written.ts";
import type { VerificationSource } from "./verification.ts";
import { WalShortener } from "./wal-shortener.ts";

const IDENTITY_INTERVAL_MS = 1_000;
/** After so long without a write the WAL is watched instead of being looked at again and again. */
const QUIET_AFTER_MS = 1_000;
/** After so long without a write the database holds only what it needs to notice one. */
const REST_AFTER_MS = 10_000;

export class OperationalDuty {
  readonly name: string;
  readonly #path: string;
  readonly #context: MemberContext;
  readonly #serial = new Serial();
  readonly #errors: DutyErrors;
  readonly #table: PageChecksumTable;
  readonly #cutter: SegmentCutter;
  readonly #shortener: WalShortener;
  #database: OperationalDatabase | null = null;
  #fenced: boolean | null = null;
  /** Nothing can be cut now, for want of space. */
  #starved = false;
  #snapshotting = false;
  #opening = false;
  #isRetired = false;
  #walBytes: number | null = null;
  #identityCheckedAtMs = Number.NEGATIVE_INFINITY;
  #writtenAtMs = Number.NEGATIVE_INFINITY;
  #rotatedAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: MemberContext, name: string, path: string) {
    this.name = name;
    this.#path = path;
    this.#context = context;
    this.#errors = new DutyErrors(context, name);
    const row = context.store.database(name);
    this.#table = new PageChecksumTable(context.store.chunkStore(name), row?.pageCount ?? 0, row?.received?.checksum);
    this.#shortener = new WalShortener(context);
    this.#cutter = new SegmentCutter(context, name, this.#table);
  }

  get fenced(): boolean {
    return this.#fenced ?? false;
  }

  /** Whether applications may write to it; false before the database was opened for the first time. */
  get isWritable(): boolean {
    return this.#fenced === false;
  }

  /** The database was fenced, and not by {@link setFence}. */
  noteFence(): void {
    this.#fenced = true;
  }

  /** Bytes of the WAL that were in use at the last turn; null while the database is not open. */
  get walBytes(): number | null {
    return this.#walBytes;
  }

  /** Another number whenever capture has moved on. */
  get beats(): number {
    return this.#cutter.beats;
  }

  /** Whether nobody has written to it for a while. */
  get isResting(): boolean {
    return this.#context.nowMs() - this.#writtenAtMs >= REST_AFTER_MS;
  }

  /** Whether the last attempt to shorten the WAL has failed, and not for a snapshot or a verification of ours. */
  get isWalHeld(): boolean {
    return this.#shortener.isHeld && this.#database?.hasBaseline === false;
  }

  /**
   * Whether there are commits that should be in the journal by now. Waits for nothing.
   * @param dueSinceMs when a scheduled rotation was due last; null when every commit is due at once.
   */
  isCaptureDue(dueSinceMs: number | null): boolean {
    if (this.#isRetired) return false;
    if (this.#database === null || this.#opening) return true;
    return (dueSinceMs === null || this.#rotatedAtMs < dueSinceMs) && this.#database.hasNewCommits();
  }

  /**
   * One turn of the service: opens the database when it is not open, notices when it was replaced or removed, cuts what
   * is new when `rotate` is asked for, and shortens the WAL. Errors are kept in the state and shown by status; the next
   * turns try again.
   */
  async poll(options: { rotate: boolean }): Promise<void> {
    await this.#serial.run(async () => {
      try {
        const begunAtMs = this.#context.nowMs();
        if (!(await this.#ready())) return;
        const database = this.#opened();
        this.#walBytes = database.walBytes;
        if (this.#starved && this.#errors.waiting) {
          this.#holdWal();
          return;
        }
        if ((options.rotate || this.#starved) && database.hasNewCommits()) {
          this.#writtenAtMs = this.#context.nowMs();
          await this.#cutAll();
        }
        if (options.rotate) this.#rotatedAtMs = begunAtMs;
        await this.#shortenWal();
        this.#walBytes = database.walBytes;
        if (this.#starved) this.#errors.clear();
        this.#starved = false;
      } catch (error) {
        this.#failOrStarve(error);
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
        return { database: this.name, segments, position: formatPosition(this.#cutter.position) };
      } catch (error) {
        this.#failOrStarve(error);
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

  /** Begins to verify the database at the end of the journal. Throws what keeps it from doing so. */
  async beginVerification(): Promise<VerificationSource> {
    return await this.#serial.run(async () => {
      if (this.#database === null) await this.#open();
      const baseline = this.#opened().baseline();
      try {
        await this.#cutAll(baseline.position);
        const { position } = this.#cutter;
        const walBytes = () => this.#database?.walBytes ?? null;
        return { path: this.#path, baseline, checksums: this.#table.freeze(), position, walBytes };
      } catch (error) {
        baseline.close();
        throw error;
      }
    });
  }

  /**
   * Writes a snapshot at the end of the journal, while rotation goes on; null when there is one already, or one is being
   * written. Throws what {@link writeSnapshot} throws.
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
    if (this.#snapshotting) return null;
    if (this.#database === null) await this.#open();
    const database = this.#opened();
    const baseline = database.baseline();
    try {
      // The journal must stand where the baseline does, so that it can prove what the baseline reads. It may take of the room
      // that is kept for the snapshot, which lets go more than that.
      await this.#cutAll(baseline.position, { snapshot: true });
      const { store } = this.#context;
      const position = this.#cutter.position;
      if (store.latestSnapshot(this.name, position.epoch)?.maxTxid === position.txid) {
        baseline.close();
        return null;
      }
      this.#snapshotting = true;
      const timestampMs = store.database(this.name)?.receivedTimeMs ?? this.#context.nowMs();
      return { baseline, position, timestampMs, walBytes: () => this.#database?.walBytes ?? null };
    } catch (error) {
      baseline.close();
      throw error;
    }
  }

  /** Closes the database; what is asked next opens it again. */
  async close(): Promise<void> {
    await this.#serial.run(async () => this.#close());
  }

  /** Closes the database for good: what is asked afterwards fails. */
  async retire(): Promise<void> {
    await this.#serial.run(async () => {
      this.#isRetired = true;
      this.#close();
    });
  }

  async #ready(): Promise<boolean> {
    const nowMs = this.#context.nowMs();
    if (this.#database === null) {
      if (this.#errors.waiting) return false;
      if (this.#starved) this.#context.space.assertRoom(PROGRESS_BYTES);
      await this.#open();
    } else if (nowMs - this.#identityCheckedAtMs >= IDENTITY_INTERVAL_MS) {
      this.#database.checkIdentity();
      this.#identityCheckedAtMs = nowMs;
      if (this.isResting) this.#database.rest();
    }
    return true;
  }

  /** Opens the database and makes the journal's end and the database's state meet: nothing, a resync segment, or a first snapshot. */
  async #open(): Promise<void> {
    if (this.#isRetired) throw databaseClosed(this.name);
    const row = this.#context.store.database(this.name);
    const database = OperationalDatabase.open(this.#path, { saved: row?.walPosition ?? null });
    this.#database = database;
    this.#opening = true;
    try {
      this.#fenced = await isFenced(this.#path);
      if (row?.received == null) await this.#firstSnapshot(database);
      else if (database.resumed.kind === "gap") await this.#resync(database, row, database.resumed.reason);
      else this.#context.event("info", "CAPTURE_CONTINUED", this.name, "capture goes on where it ended");
    } catch (error) {
      // Without its first segment nothing may be captured from it.
      this.#close();
      throw error;
    } finally {
      this.#opening = false;
    }
    this.#errors.clear();
    this.#starved = false;
  }

  async #firstSnapshot(database: OperationalDatabase): Promise<void> {
    const baseline = database.baseline();
    try {
      const { pages, bytes } = await this.#cutter.cutFirst(baseline);
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
      const pages = prefetchFirst(diffBaseline(baseline, this.#table).pages());
      let segment: CutSegment | null = null;
      if (pages === null && baseline.pageCount === row.pageCount) this.#cutter.saveWalPosition(baseline.position);
      else segment = await this.#cutter.cutDifference(baseline, pages ?? []);
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
  async #cutAll(until?: WalPosition, purpose: Purpose = {}): Promise<string[]> {
    const database = this.#opened();
    const { maxSegmentBytes } = this.#context.configuration.journal;
    const end = until ?? database.end;
    const names: string[] = [];
    while (!samePosition(database.position, end)) {
      this.#context.space.assertRoom(PROGRESS_BYTES, purpose);
      const change = database.capture({ maxBytes: maxSegmentBytes, until: end });
      if (change === null) break;
      names.push(await this.#cutter.cutChange(change, purpose));
      database.accept(change);
    }
    return names;
  }

  async #shortenWal(): Promise<void> {
    // A fenced database has no writers, and would not let us take the write lock.
    if (this.#fenced) this.#shortener.forget();
    else await this.#shortener.attempt(this.#opened(), async () => void (await this.#cutAll()));
  }

  #opened(): OperationalDatabase {
    if (this.#database === null) throw new MemberError("NO_SNAPSHOT", `${this.name} is not open`);
    return this.#database;
  }

  #close(): void {
    this.#database?.close();
    this.#database = null;
    this.#walBytes = null;
    this.#shortener.forget();
  }

  /** Want of space is no reason to close the database: as long as it is open, what is committed waits in the WAL. */
  #failOrStarve(error: unknown): void {
    if (isShortage(error)) {
      this.#starved = true;
      this.#errors.report(error);
      this.#holdWal();
    } else {
      this.#fail(error);
    }
  }

  /**
   * While nothing can be cut: lets go of the WAL before it fills the application's disk. SQLite then restarts it, and once
   * there is room again a resync segment bridges what was missed.
   */
  #holdWal(): void {
    const database = this.#database;
    if (database === null) return;
    const { walBytes, pageSize } = database;
    const { pageCount } = this.#context.store.database(this.name) ?? {};
    if (this.#context.space.mayHoldWal(this.#path, walBytes, (pageCount ?? 0) * pageSize)) return;
    this.#close();
    const message = "capture has stopped, so that the WAL does not fill the disk";
    this.#context.event("warn", "WAL_RELEASED", this.name, message, { walBytes });
  }

  /** Closes the database, so that the next turn begins with a look at what is there now. */
  #fail(error: unknown): void {
    this.#close();
    if (this.#isRetired) return;
    if (this.#context.isRemoved(this.name)) {
      this.#context.databaseMissing();
      return;
    }
    // A gap is no fault of the database: opening it again finds the gap and bridges it.
    if (!(error instanceof DatabaseError && error.code === "WAL_GAP")) this.#errors.report(error);
  }
}

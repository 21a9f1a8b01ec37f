/**
 * A mirror's database: readable by everybody, written by us alone, by appending whole commits to its WAL.
 *
 * Guarantees: readers see the state before an integration or the one after it, never another, whatever dies when; a commit
 * becomes visible only if the database checksum after it is the expected one; a commit by anybody else is noticed before
 * ours is appended. The worst outcome is MIRROR_INCONSISTENT, after which the member must be rebuilt.
 * One thing at a time: a call while another one is at work is refused. Positions and their order are the caller's business.
 */
import type { Database } from "better-sqlite3";
import { AppendSession, type SessionOptions } from "./append-session.ts";
import type { Baseline } from "./baseline.ts";
import { comparePages, type PageComparison } from "./compare-pages.ts";
import { DatabaseError } from "./database-error.ts";
import { appendWriteVersion } from "./fence.ts";
import { invalid } from "./frame-writer.ts";
import { assertAddedPages, differingPages } from "./mirror-checksums.ts";
import { adoptMirror, assertProof, type ChangeProof, type CreationOptions, createMirror } from "./mirror-creation.ts";
import { type FileFootprint, MirrorFootprint } from "./mirror-footprint.ts";
import {
  inconsistent,
  isFencedEverywhere,
  judgeOpening,
  type MirrorRecord,
  type MirrorState,
} from "./mirror-opening.ts";
import type { PageChecksumTable } from "./page-checksum-table.ts";
import type { Page, PageRun } from "./page-run.ts";
import { connect } from "./pin.ts";
import { stageChecksums } from "./stage-checksums.ts";
import type { AppendStep } from "./wal-appender.ts";
import { frameOffset, WAL_HEADER_SIZE } from "./wal-format.ts";
import type { WalIndexState } from "./wal-index.ts";
import { type ClosedSignature, isRebuiltEmpty, markOf, showsMark, signatureOf, type WalMark } from "./wal-mark.ts";
import { FENCED, WRITABLE } from "./write-version.ts";

/** Points between which a process may die: those of an append, then those of a checkpoint. */
export type IntegrationStep = AppendStep | "checkpoint" | "truncate" | "checkpointed";

/** `partial`: a reader still needs part of the WAL. `busy`: somebody else is at it. Both: try later, integration goes on. */
export type CheckpointResult = "truncated" | "partial" | "busy" | "nothing";

export interface MirrorOptions extends MirrorRecord, Omit<SessionOptions, "onStep"> {
  /** Called at every named step; for fault tests. */
  readonly onStep?: ((step: IntegrationStep) => void) | undefined;
}

export interface FoundOptions extends Pick<MirrorOptions, "onStep" | "lockTimeoutMs" | "bufferBytes"> {
  /** Reads the whole database as it is, under the write lock, and gives the table of its page checksums. */
  readonly read: (image: Baseline) => Promise<PageChecksumTable>;
}

type Activity = "idle" | "integrating" | "closed";

export class MirrorDatabase {
  /**
   * What opening found: `current`, the state of the table; `adopted`, the commit of the given intent was there already and
   * its checksums are staged in the table. Then record it as done, or discard the table and integrate the same pages again.
   */
  readonly opened: MirrorState;
  /** Whether somebody had removed the fence, and nothing else had changed: it is back. */
  readonly wasUnfenced: boolean;
  readonly #session: AppendSession;
  readonly #table: PageChecksumTable;
  readonly #footprint: MirrorFootprint;
  readonly #onStep: (step: IntegrationStep) => void;
  #mark: WalMark;
  #activity: Activity = "idle";

  private constructor(session: AppendSession, options: MirrorParts, found: Found) {
    this.#session = session;
    this.#table = options.table;
    this.#onStep = options.onStep ?? (() => {});
    this.#footprint = found.footprint;
    this.opened = found.opened;
    this.wasUnfenced = found.wasUnfenced;
    this.#mark = found.mark;
  }

  /** Creates the fenced database file of a snapshot: see {@link createMirror}. */
  static async create(path: string, snapshot: PageRun, options: CreationOptions): Promise<void> {
    await createMirror(path, snapshot, options);
  }

  /** Takes over a database that already equals the snapshot: see {@link adoptMirror}. */
  static async adopt(path: string, snapshot: PageRun, options: CreationOptions & SessionOptions): Promise<void> {
    await adoptMirror(path, snapshot, options);
  }

  /**
   * Opens a mirror and finds out which state it is in; compares every page when what was recorded does not settle that.
   * @throws DatabaseError MIRROR_INCONSISTENT, PLATFORM_UNSUPPORTED, DATABASE_MISSING, DATABASE_BUSY and other faults of the file
   */
  static async open(path: string, options: MirrorOptions): Promise<MirrorDatabase> {
    const session = await AppendSession.open(path, options);
    try {
      const found = await session.appender.exclusively(async (state): Promise<Found> => {
        const opened = await judgeOpening(session, state, options);
        // A commit that was never published must not be found by a later recovery, when its intent is forgotten.
        session.appender.voidTail(state);
        const wasUnfenced = session.readWriteVersion(state) !== FENCED;
        const mark = await fenceAgain(session, state);
        const footprint = new MirrorFootprint(session.files);
        footprint.accept({ ...state, ...mark });
        return { opened, wasUnfenced, mark, footprint };
      });
      return new MirrorDatabase(session, options, found);
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /**
   * Opens a fenced database in whatever state it is, which becomes the one that changes are compared with; what looks as if
   * the fence had been removed is fenced again.
   * @throws DatabaseError as {@link open}, but for MIRROR_INCONSISTENT, and what `read` throws
   */
  static async openAsFound(path: string, { read, ...options }: FoundOptions): Promise<MirrorDatabase> {
    const session = await AppendSession.open(path, options);
    try {
      const { table, ...found } = await session.appender.exclusively(async (state) => {
        session.appender.voidTail(state);
        const image = session.beginBaseline();
        const table = await read(image).finally(() => image.close());
        const wasUnfenced = !isFencedEverywhere(session, state);
        const mark = await fenceAgain(session, state);
        const footprint = new MirrorFootprint(session.files);
        footprint.accept({ ...state, ...mark });
        return { table, opened: "current" as const, wasUnfenced, mark, footprint };
      });
      return new MirrorDatabase(session, { ...options, table }, found);
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /** The wal-index as we know it. */
  get mark(): WalMark {
    return this.#mark;
  }

  /** The database file as it is while nothing but us and checkpoints touch it; see {@link MirrorRecord}. */
  get file(): FileFootprint | null {
    return this.#footprint.file;
  }

  get pageSize(): number {
    return this.#session.pageSize;
  }

  /** Frames in the WAL that are in use. */
  get walFrames(): number {
    return this.#session.files.readWalIndex()?.maxFrame ?? 0;
  }

  /** Bytes of the WAL that are in use. */
  get walBytes(): number {
    const frames = this.walFrames;
    return frames === 0 ? 0 : Math.max(WAL_HEADER_SIZE, frameOffset(frames + 1, this.pageSize));
  }

  /**
   * Appends the change as one commit and stages its page checksums in the table. Record the returned mark, the position
   * and the table (`flush`) in one transaction, then `settle` the table; after an error, `discard` it. A run without pages and
   * with the same page count changes nothing.
   * @throws DatabaseError INTEGRATION_CHECKSUM, CHANGE_INVALID, MIRROR_INCONSISTENT, DATABASE_BUSY and other faults of the
   * file, and what the run throws. Nothing has become visible then.
   */
  async integrate(change: PageRun, proof: ChangeProof): Promise<WalMark> {
    return await this.#apply(change, stageChecksums(this.#table, change), proof);
  }

  /** As {@link integrate} for a run of the whole database, of which only the pages that differ are appended. */
  async integrateDifference(snapshot: PageRun, proof: ChangeProof): Promise<WalMark> {
    return await this.#apply(snapshot, differingPages(this.#table, snapshot), proof);
  }

  /**
   * Copies the WAL into the file and empties it if no reader needs it. Blocks for the time of the copy. Call it about every
   * thousand frames, after what they hold has been recorded.
   */
  checkpoint(): CheckpointResult {
    this.#begin("integrating");
    try {
      if (this.walFrames === 0) return "nothing";
      // What has been touched is looked at first: see `examine`.
      if (this.#isTouched()) return "busy";
      return this.#copyWal();
    } finally {
      this.#activity = "idle";
    }
  }

  #copyWal(): CheckpointResult {
    // Opened for this alone: a mirror may have hundreds of databases, of which most are idle.
    const connection = connect(this.#session.files.path, 0);
    try {
      this.#onStep("checkpoint");
      const passive = runCheckpoint(connection, "PASSIVE");
      if (passive.busy) return "busy";
      if (!passive.complete) return "partial";
      this.#onStep("truncate");
      const truncated = !runCheckpoint(connection, "TRUNCATE").busy;
      this.#onStep("checkpointed");
      return truncated ? "truncated" : "busy";
    } finally {
      connection.close();
      const state = this.#session.files.readWalIndex();
      if (state !== null) this.#footprint.accept(state);
    }
  }

  /**
   * Costs a few system calls: notices a replaced file or WAL and a commit by somebody else.
   * @throws DatabaseError MIRROR_INCONSISTENT
   */
  checkForeignChange(): void {
    if (this.#activity === "integrating" || this.#activity === "closed") return;
    const { files, appender } = this.#session;
    try {
      files.checkIdentity();
    } catch (cause) {
      throw inconsistent(files.path, "the file was replaced or removed", cause);
    }
    if (!appender.walIsInPlace) throw inconsistent(files.walPath, "the WAL was replaced or removed");
    const state = files.peekWalIndex();
    // A torn header is repaired, and a rebuilt one settled by comparing pages, before the next commit.
    if (state === null || showsMark(state, this.#mark) || isRebuiltEmpty(state)) return;
    throw inconsistent(files.path, "it shows a commit that is not ours");
  }

  /**
   * As {@link checkForeignChange}; and when something has touched the files without a commit, compares every page, and puts
   * the fence back if only that was taken away (`fenced`). @throws DatabaseError MIRROR_INCONSISTENT
   */
  async examine(): Promise<"untouched" | "unchanged" | "fenced"> {
    this.checkForeignChange();
    if (this.#activity !== "idle" || !this.#isTouched()) return "untouched";
    return await this.#alone(async () => {
      const { appender, files } = this.#session;
      return await appender.exclusively(async (state) => {
        const { problems } = await this.#compare();
        if (problems.length > 0) throw inconsistent(files.path, problems.join("; "));
        const isFenced = isFencedEverywhere(this.#session, state);
        this.#mark = await fenceAgain(this.#session, state);
        this.#footprint.accept({ ...state, ...this.#mark });
        return isFenced ? "unchanged" : "fenced";
      });
    });
  }

  #isTouched(): boolean {
    const state = this.#session.files.peekWalIndex();
    return state !== null && this.#footprint.isTouched(state);
  }

  /**
   * The whole database as it is now, in a read transaction of its own, while integration goes on. Between two integrations
   * only. Closed with this database, at the latest.
   */
  baseline(): Baseline {
    return this.#session.beginBaseline();
  }

  /**
   * Takes the fence away: behind the commit that is returned, applications may write. Only {@link close} may follow.
   * @throws DatabaseError MIRROR_INCONSISTENT, DATABASE_BUSY
   */
  async unfence(): Promise<WalMark> {
    return await this.#alone(async () => {
      return await this.#session.appender.exclusively(async (state) => {
        await this.#assertOurs(state);
        return await appendWriteVersion(this.#session, state, WRITABLE);
      });
    });
  }

  /**
   * Closes every connection and descriptor; twice is harmless. When nobody else had the database open, SQLite has removed
   * the WAL: then what is returned lets {@link open} recognise the file. Otherwise null.
   */
  async close(): Promise<ClosedSignature | null> {
    if (this.#activity === "closed") return null;
    this.#begin("closed");
    const isOurs = !this.#isTouched();
    this.#session.close();
    return isOurs && this.#session.walIsGone ? signatureOf(this.#session.files.path, this.#table.checksum) : null;
  }

  async #apply(run: PageRun, pages: Iterable<Page | null>, proof: ChangeProof): Promise<WalMark> {
    return await this.#alone(async () => {
      const { appender, pageSize } = this.#session;
      if (run.pageSize !== pageSize) throw invalid(`its pages have ${run.pageSize} bytes, the mirror's ${pageSize}`);
      const pageCountBefore = this.#table.pageCount;
      this.#mark = await appender.exclusively(async (state) => {
        await this.#assertOurs(state);
        const beforeCommit = () => {
          assertProof(this.#table, proof);
          assertAddedPages(this.#table, pageCountBefore, pageSize);
        };
        const { pageCount } = run;
        let mark = markOf(state);
        try {
          mark = await appender.append(state, { pageCount, writeVersion: FENCED, pages, beforeCommit });
        } catch (error) {
          appender.voidTail(state);
          throw error;
        } finally {
          this.#footprint.acceptWal({ ...state, ...mark });
        }
        return mark;
      });
      return this.#mark;
    });
  }

  /** The last commit must be ours. A wal-index that does not show it proves nothing yet: the pages decide. */
  async #assertOurs(state: WalIndexState): Promise<void> {
    if (showsMark(state, this.#mark) && !this.#footprint.isTouched(state)) return;
    const { files } = this.#session;
    if (!isFencedEverywhere(this.#session, state)) throw inconsistent(files.path, "the fence was removed");
    const { problems } = await this.#compare();
    if (problems.length > 0) throw inconsistent(files.path, problems.join("; "));
    this.#mark = markOf(state);
    this.#footprint.accept(state);
  }

  async #compare(): Promise<PageComparison> {
    const image = this.#session.beginBaseline();
    try {
      return await comparePages(this.#table, image);
    } finally {
      image.close();
    }
  }

  async #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#begin("integrating");
    try {
      return await work();
    } finally {
      this.#activity = "idle";
    }
  }

  #begin(activity: Activity): void {
    if (this.#activity !== "idle") {
      throw new DatabaseError("DATABASE_BUSY", `the mirror is ${this.#activity}`, {
        path: this.#session.files.path,
        hint: "Wait for the call before this one to end.",
      });
    }
    this.#activity = activity;
  }
}

type MirrorParts = Pick<MirrorOptions, "table" | "onStep">;

/** What opening found. */
interface Found {
  readonly opened: MirrorState;
  readonly wasUnfenced: boolean;
  readonly mark: WalMark;
  readonly footprint: MirrorFootprint;
}

/** Call it under the write lock, once every page is known to be right: what is not ours is not fenced either. */
async function fenceAgain(session: AppendSession, state: WalIndexState): Promise<WalMark> {
  return isFencedEverywhere(session, state) ? markOf(state) : await appendWriteVersion(session, state, FENCED);
}

function runCheckpoint(connection: Database, mode: "PASSIVE" | "TRUNCATE"): { busy: boolean; complete: boolean } {
  const [row] = connection.prepare<[], CheckpointRow>(`PRAGMA wal_checkpoint(${mode})`).all();
  return { busy: row?.busy !== 0, complete: row !== undefined && row.log === row.checkpointed };
}

interface CheckpointRow {
  readonly busy: number;
  readonly log: number;
  readonly checkpointed: number;
}

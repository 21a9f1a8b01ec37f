/**
 * Appends one commit to the WAL of a database without a write transaction of SQLite (docs/FORMAT.md, "Appending to a WAL").
 *
 * Guarantee: under SQLite's own write lock, either the whole commit becomes visible to every SQLite connection, or, when
 * something throws or the process dies, nothing of it. Frames are durable before the wal-index speaks of them. Readers are
 * never blocked. The WAL is started anew only when SQLite itself has emptied it.
 * It does not decide whether the commit may follow the one before it: the caller does, under the same lock.
 */
import { randomFillSync } from "node:crypto";
import { closeSync, fstatSync, fsync, fsyncSync, ftruncateSync, openSync, statSync } from "node:fs";
import { promisify } from "node:util";
import { DatabaseError } from "./database-error.ts";
import { type DatabaseFiles, readFully } from "./database-files.ts";
import { FrameWriter, invalid } from "./frame-writer.ts";
import type { Page } from "./page-run.ts";
import type { Pin } from "./pin.ts";
import { Turns } from "./turns.ts";
import {
  decodeFrameHeader,
  decodeWalHeader,
  encodeWalHeader,
  FRAME_HEADER_SIZE,
  frameOffset,
  WAL_HEADER_SIZE,
  type WalPosition,
} from "./wal-format.ts";
import type { WalIndexHeader, WalIndexState } from "./wal-index.ts";
import { indexFrames, publishHeader } from "./wal-index-writer.ts";
import { markOf, type WalMark } from "./wal-mark.ts";
import { writeFully } from "./write-fully.ts";
import { WriteLock } from "./write-lock.ts";
import type { WriteVersion } from "./write-version.ts";

/** Points of an append between which a process may die, in order. `header` only when the WAL is started anew. */
export type AppendStep =
  | "lock"
  | "header"
  | "append"
  | "commit"
  | "appended"
  | "synced"
  | "indexed"
  | "header2"
  | "header1"
  | "released";

export interface Commit {
  /** Database size in pages afterwards. */
  readonly pageCount: number;
  /** Byte 18 that page 1 gets, if it is among the pages. */
  readonly writeVersion: WriteVersion;
  /** In ascending order, each once; null means "nothing yet" and gives the event loop its turn. */
  readonly pages: Iterable<Page | null>;
  /** Last word, after the last page and before the commit mark. What it throws leaves the database as it was. */
  readonly beforeCommit?: () => void;
}

export interface WalAppenderOptions {
  readonly files: DatabaseFiles;
  /** Has read through SQLite, so that `-wal` and `-shm` exist, and stays open, so that they stay. Not in a transaction. */
  readonly pin: Pin;
  readonly pageSize: number;
  readonly onStep?: ((step: AppendStep) => void) | undefined;
  readonly lockTimeoutMs?: number | undefined;
  /** Bytes written at a time. */
  readonly bufferBytes?: number | undefined;
}

const DEFAULT_BUFFER_BYTES = 1024 * 1024;
export const DEFAULT_LOCK_TIMEOUT_MS = 30_000;
/** Up to here an fsync on the spot is cheaper than one in the thread pool. */
const SMALL_COMMIT_BYTES = 1024 * 1024;
const fsyncInPool = promisify(fsync);

export class WalAppender {
  readonly #files: DatabaseFiles;
  readonly #pin: Pin;
  readonly #pageSize: number;
  readonly #onStep: (step: AppendStep) => void;
  readonly #lockTimeoutMs: number;
  readonly #bufferBytes: number;
  readonly #lock: WriteLock;
  readonly #wal: number;
  readonly #walIdentity: string;

  /** @throws DatabaseError PLATFORM_UNSUPPORTED, DATABASE_UNREADABLE */
  constructor(options: WalAppenderOptions) {
    this.#files = options.files;
    this.#pin = options.pin;
    this.#pageSize = options.pageSize;
    this.#onStep = options.onStep ?? (() => {});
    this.#lockTimeoutMs = options.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS;
    this.#bufferBytes = options.bufferBytes ?? DEFAULT_BUFFER_BYTES;
    this.#lock = new WriteLock(options.files.walIndexDescriptor);
    this.#wal = openSync(options.files.walPath, "r+");
    this.#walIdentity = identityOf(fstatSync(this.#wal, { bigint: true }));
  }

  /** Whether the file at the WAL's path is the one that is open here. */
  get walIsInPlace(): boolean {
    const found = statSync(this.#files.walPath, { bigint: true, throwIfNoEntry: false });
    return found !== undefined && identityOf(found) === this.#walIdentity;
  }

  /**
   * Runs `work` under the write lock with a valid wal-index header. Reading through SQLite goes on meanwhile.
   * @throws DatabaseError DATABASE_BUSY, DATABASE_REPLACED, DATABASE_PAGE_SIZE
   */
  async exclusively<Result>(work: (state: WalIndexState) => Promise<Result>): Promise<Result> {
    const state = await this.#acquire();
    try {
      return await work(state);
    } finally {
      this.#lock.release();
      this.#onStep("released");
    }
  }

  /**
   * Appends one commit and returns the wal-index that it published; without pages it returns the one it found. Call it
   * inside {@link exclusively}, with the state that it gave.
   * @throws DatabaseError WAL_INDEX_INVALID, CHANGE_INVALID, and what `pages` and `beforeCommit` throw
   */
  async append(state: WalIndexState, commit: Commit): Promise<WalMark> {
    const frames = await this.#writeFrames(commit, state);
    commit.beforeCommit?.();
    if (frames === null) {
      const pageCount = this.#files.readPageCount(state, this.#pageSize);
      if (commit.pageCount === pageCount) return markOf(state);
      throw invalid(`it has no pages, but takes the database from ${pageCount} to ${commit.pageCount} pages`);
    }
    this.#onStep("commit");
    return await this.#commit(commit, state, frames);
  }

  /**
   * Removes whatever lies behind the last commit: a process that died may have left a whole commit there that was never
   * published, and that nobody speaks for any more; and a commit that failed for want of space must not keep it. Nobody
   * reads there. Call it inside {@link exclusively}.
   */
  voidTail(state: WalIndexState): void {
    const at = frameOffset(state.maxFrame + 1, this.#pageSize);
    if (fstatSync(this.#wal).size <= at) return;
    ftruncateSync(this.#wal, at);
    fsyncSync(this.#wal);
  }

  /** Closes `-wal`; the connection and the other descriptors are the caller's. */
  close(): void {
    this.#lock.release();
    closeSync(this.#wal);
  }

  async #acquire(): Promise<WalIndexState> {
    const deadline = performance.now() + this.#lockTimeoutMs;
    for (;;) {
      await this.#lock.acquire(Math.max(0, deadline - performance.now()));
      try {
        this.#checkFiles();
        const state = this.#files.readWalIndex();
        if (state !== null) {
          this.#checkPageSize(state);
          this.#onStep("lock");
          return state;
        }
      } catch (error) {
        this.#lock.release();
        throw error;
      }
      // A writer died between the two copies of the header. SQLite repairs that, but needs the lock for it.
      this.#lock.release();
      this.#recover(deadline);
    }
  }

  #recover(deadline: number): void {
    try {
      this.#pin.touch();
    } catch (error) {
      const busy = error instanceof DatabaseError && error.code === "DATABASE_BUSY";
      if (!busy || performance.now() >= deadline) throw error;
    }
  }

  #checkFiles(): void {
    this.#files.checkIdentity();
    if (this.walIsInPlace) return;
    throw new DatabaseError("DATABASE_REPLACED", "the -wal file was removed or replaced while it was in use", {
      path: this.#files.walPath,
      hint: "Close every program that uses the database and check it with PRAGMA integrity_check.",
    });
  }

  #checkPageSize(state: WalIndexState): void {
    // A wal-index that was rebuilt from an empty WAL does not know the page size yet.
    if (state.pageSize === this.#pageSize || (state.maxFrame === 0 && state.pageSize === 0)) return;
    throw new DatabaseError(
      "DATABASE_PAGE_SIZE",
      `the WAL's pages have ${state.pageSize} bytes, the database's ${this.#pageSize}`,
      { path: this.#files.path, hint: "Restore the database: its WAL belongs to another one." },
    );
  }

  /** Writes all frames but the last; null when there are no pages. */
  async #writeFrames(commit: Commit, state: WalIndexState): Promise<FrameWriter | null> {
    const turns = new Turns();
    let writer: FrameWriter | null = null;
    for (const page of commit.pages) {
      if (page === null) {
        await turns.spent(this.#pageSize);
        continue;
      }
      if (page.pgno > commit.pageCount) {
        throw invalid(`page ${page.pgno} is beyond the database's end at page ${commit.pageCount}`);
      }
      writer ??= this.#startWriter(state);
      if (writer.add(page, commit.writeVersion)) this.#onStep("append");
      await turns.spent(page.data.length);
    }
    return writer;
  }

  #startWriter(state: WalIndexState): FrameWriter {
    const base = state.maxFrame === 0 ? this.#restartWal(state) : this.#continueWal(state);
    return new FrameWriter(this.#wal, this.#pageSize, this.#bufferBytes, base);
  }

  /** SQLite has emptied the WAL, so no reader uses it: begin a new generation, durably before any old frame is overwritten. */
  #restartWal(state: WalIndexState): WalPosition {
    const [random1 = 0, random2 = 0] = randomFillSync(new Uint32Array(2));
    // A wal-index that was rebuilt from an empty WAL has no salts to go on from.
    const salt1 = state.salt1 === 0 && state.salt2 === 0 ? random1 : (state.salt1 + 1) >>> 0;
    const { bytes, header } = encodeWalHeader(this.#pageSize, salt1, random2);
    writeFully(this.#wal, bytes, 0);
    fsyncSync(this.#wal);
    this.#onStep("header");
    return { salt1, salt2: random2, frame: 0, checksum1: header.checksum1, checksum2: header.checksum2 };
  }

  #continueWal(state: WalIndexState): WalPosition {
    const walHeader = new Uint8Array(WAL_HEADER_SIZE);
    const frameHeader = new Uint8Array(FRAME_HEADER_SIZE);
    readFully(this.#wal, walHeader, 0);
    readFully(this.#wal, frameHeader, frameOffset(state.maxFrame, this.#pageSize));
    const header = decodeWalHeader(walHeader);
    const last = decodeFrameHeader(frameHeader, 0);
    const { salt1, salt2, checksum1, checksum2 } = state;
    if (
      header?.pageSize !== this.#pageSize ||
      !(header.salt1 === salt1 && header.salt2 === salt2) ||
      !(last.salt1 === salt1 && last.salt2 === salt2 && last.checksum1 === checksum1 && last.checksum2 === checksum2)
    ) {
      throw new DatabaseError("WAL_INDEX_INVALID", "the wal-index speaks of another WAL than the one in the file", {
        path: this.#files.walPath,
        hint: "Close every program that uses the database and check it with PRAGMA integrity_check.",
      });
    }
    return { salt1, salt2, frame: state.maxFrame, checksum1, checksum2 };
  }

  async #commit(commit: Commit, state: WalIndexState, frames: FrameWriter): Promise<WalMark> {
    let header: WalIndexHeader;
    try {
      const end = frames.finish(commit.pageCount);
      this.#onStep("appended");
      await this.#sync(frames.bytesWritten);
      this.#onStep("synced");
      await indexFrames(this.#files.walIndexDescriptor, state.maxFrame, frames.pgnos);
      this.#onStep("indexed");
      const change = (state.change + 1) >>> 0;
      const { frame: maxFrame, ...chain } = end;
      header = { ...chain, change, maxFrame, pageCount: commit.pageCount, pageSize: this.#pageSize };
    } catch (error) {
      // The commit mark may be in the file: without this, a recovery could still adopt what the caller is told has failed.
      this.voidTail(state);
      throw error;
    }
    publishHeader(this.#files.walIndexDescriptor, header, this.#onStep);
    return markOf(header);
  }

  async #sync(bytes: number): Promise<void> {
    if (bytes <= SMALL_COMMIT_BYTES) fsyncSync(this.#wal);
    else await fsyncInPool(this.#wal);
  }
}

function identityOf(stat: { dev: bigint; ino: bigint }): string {
  return `${stat.dev}:${stat.ino}`;
}

/**
 * What it takes to append to a WAL database: its descriptors, a connection that keeps its WAL in place, and the appender.
 *
 * Descriptors are opened before and closed after every connection, as shared-descriptor.ts asks for.
 */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fsyncDirectory } from "../durable-files.ts";
import { Baseline } from "./baseline.ts";
import { DatabaseError } from "./database-error.ts";
import { DatabaseFiles } from "./database-files.ts";
import { Pin } from "./pin.ts";
import { positionOf } from "./pin-pair.ts";
import { type AppendStep, DEFAULT_LOCK_TIMEOUT_MS, WalAppender } from "./wal-appender.ts";
import { WalFile } from "./wal-file.ts";
import { FRAME_HEADER_SIZE } from "./wal-format.ts";
import { type WalIndexState, walIndexEntries } from "./wal-index.ts";
import { WRITE_VERSION_OFFSET } from "./write-version.ts";

const WAL_READ_VERSION = 2;
const BUSY_POLL_MS = 5;

export interface SessionOptions {
  readonly onStep?: ((step: AppendStep) => void) | undefined;
  /** How long to wait for a writer, or for a connection that has the database to itself for a moment. */
  readonly lockTimeoutMs?: number | undefined;
  readonly bufferBytes?: number | undefined;
}

export class AppendSession {
  readonly files: DatabaseFiles;
  readonly pageSize: number;
  readonly wal: WalFile;
  readonly appender: WalAppender;
  readonly #pin: Pin;
  readonly #baselines = new Set<Baseline>();

  private constructor(parts: { files: DatabaseFiles; pin: Pin; pageSize: number; options: SessionOptions }) {
    const { files, pin, pageSize, options } = parts;
    this.files = files;
    this.pageSize = pageSize;
    this.#pin = pin;
    this.wal = new WalFile(files.walPath, pageSize);
    this.appender = new WalAppender({ ...options, files, pin, pageSize });
  }

  /**
   * @throws DatabaseError DATABASE_MISSING, DATABASE_EMPTY, DATABASE_NOT_SQLITE, DATABASE_NOT_WAL, DATABASE_BUSY,
   * DATABASE_UNREADABLE, PLATFORM_UNSUPPORTED
   */
  static async open(path: string, options: SessionOptions = {}): Promise<AppendSession> {
    const files = DatabaseFiles.open(path);
    let pin: Pin | null = null;
    try {
      const { pageSize } = checkedHeader(files);
      pin = new Pin(files);
      await touchPatiently(pin, options.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS);
      // The first read may have made the WAL: commits in it are no safer than its directory entry.
      fsyncDirectory(dirname(files.path));
      files.attachWalIndex();
      return new AppendSession({ files, pin, pageSize, options });
    } catch (error) {
      pin?.close();
      files.close();
      throw error;
    }
  }

  /** Whether the WAL was removed: SQLite does that when the last connection closes. Ask after {@link close}. */
  get walIsGone(): boolean {
    return !existsSync(this.files.walPath);
  }

  /** The whole database in a read transaction of its own; close it. */
  beginBaseline(): Baseline {
    const pin = new Pin(this.files);
    try {
      const state = pin.begin();
      const position = positionOf(state, this.wal);
      const baseline: Baseline = new Baseline({
        files: this.files,
        wal: this.wal,
        pin,
        state,
        position,
        onClose: () => this.#baselines.delete(baseline),
      });
      this.#baselines.add(baseline);
      return baseline;
    } catch (error) {
      pin.close();
      throw error;
    }
  }

  /** Runs `work` in a read transaction with the wal-index header that it sees. */
  inReadTransaction<Result>(work: (state: WalIndexState) => Result): Result {
    const state = this.#pin.begin();
    try {
      return work(state);
    } finally {
      this.#pin.end();
    }
  }

  /**
   * Page 1 as it is, write version included. Under the write lock or in a read transaction whose `state` it is. When all
   * of the WAL has been copied, a read transaction does not keep the WAL from being restarted, so the file is read.
   */
  readPage1(state: WalIndexState): Uint8Array {
    const frame = state.backfilled < state.maxFrame ? this.#newestFrameOfPage1(state) : 0;
    if (frame > 0) {
      const bytes = new Uint8Array(this.wal.frameSize);
      this.wal.readFrames(bytes, frame);
      return bytes.subarray(FRAME_HEADER_SIZE);
    }
    const page = new Uint8Array(this.pageSize);
    this.files.read(page, 0);
    return page;
  }

  /** Byte 18 of page 1, as {@link readPage1} gives it. */
  readWriteVersion(state: WalIndexState): number {
    return this.readPage1(state)[WRITE_VERSION_OFFSET] ?? 0;
  }

  close(): void {
    for (const baseline of [...this.#baselines]) baseline.close();
    this.#pin.close();
    this.appender.close();
    this.wal.close();
    this.files.close();
  }

  #newestFrameOfPage1(state: WalIndexState): number {
    let newest = 0;
    let frame = 0;
    for (const { offset, count } of walIndexEntries(state.maxFrame)) {
      const pgnos = new Uint32Array(count);
      this.files.readWalIndexBytes(new Uint8Array(pgnos.buffer), offset);
      const last = pgnos.lastIndexOf(1);
      if (last >= 0) newest = frame + last + 1;
      frame += count;
    }
    return newest;
  }
}

function checkedHeader(files: DatabaseFiles): { pageSize: number } {
  const header = files.readHeader();
  if (header.readVersion === WAL_READ_VERSION) return header;
  throw new DatabaseError("DATABASE_NOT_WAL", "the database is not in WAL mode", {
    path: files.path,
    hint: "Run PRAGMA journal_mode=WAL on it once; `afterimage init` does that after asking.",
  });
}

/** Somebody may have the whole database locked for a moment: a recovery, or an attempt to leave WAL mode. */
async function touchPatiently(pin: Pin, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      pin.touch();
      return;
    } catch (error) {
      const busy = error instanceof DatabaseError && error.code === "DATABASE_BUSY";
      if (!busy || performance.now() >= deadline) throw error;
    }
    await sleep(BUSY_POLL_MS);
  }
}

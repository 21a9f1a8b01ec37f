/**
 * The whole database as one read transaction sees it, read as raw pages: for snapshots and resyncs. Writers go on.
 *
 * A page comes from the WAL if one of the transaction's frames holds it, else from the file. While the transaction is
 * open, checkpoints copy only frames that it sees as well, so pages of the file that no such frame holds stay as they are.
 * When everything had been copied by the time it began, only the file is read: the WAL may then be restarted under it.
 */

import { lockBytePage } from "../ltx/page-checksum.ts";
import { makeCanonical } from "./captured-change.ts";
import { DatabaseError } from "./database-error.ts";
import type { DatabaseFiles } from "./database-files.ts";
import { FrameList, NewestFrames } from "./frame-list.ts";
import type { Page, PageRun } from "./page-run.ts";
import type { Pin } from "./pin.ts";
import type { WalFile } from "./wal-file.ts";
import { decodeFrameHeader, FRAME_HEADER_SIZE, type WalPosition } from "./wal-format.ts";
import { type WalIndexState, walIndexEntries } from "./wal-index.ts";
import { sameGeneration } from "./wal-position.ts";

const READ_BYTES = 1 << 20;

export interface BaselineParts {
  readonly files: DatabaseFiles;
  readonly wal: WalFile;
  /** A pin of the baseline's own, begun at `state`. */
  readonly pin: Pin;
  readonly state: WalIndexState;
  readonly position: WalPosition;
  /** Called once, when the baseline is closed. */
  readonly onClose: () => void;
}

export class Baseline implements PageRun {
  readonly pageSize: number;
  readonly pageCount: number;
  /** The commit that the pages show. */
  readonly position: WalPosition;
  readonly #parts: BaselineParts;
  readonly #newest: NewestFrames;
  readonly #frame: Uint8Array;
  #pin: Pin | null;

  constructor(parts: BaselineParts) {
    this.#parts = parts;
    this.#pin = parts.pin;
    this.pageSize = parts.wal.pageSize;
    this.pageCount = parts.files.readPageCount(parts.state, this.pageSize);
    this.position = parts.position;
    this.#newest = readNewest(parts, this.pageSize, this.pageCount);
    this.#frame = Buffer.allocUnsafeSlow(parts.wal.frameSize);
  }

  /** All pages. May be iterated again until the baseline is closed. */
  pages(): Generator<Page> {
    return this.pagesFrom(1);
  }

  /** As {@link pages}, beginning with page `from`. */
  *pagesFrom(from: number): Generator<Page> {
    const perRead = Math.max(1, Math.min(Math.floor(READ_BYTES / this.pageSize), this.pageCount));
    const buffer = Buffer.allocUnsafeSlow(perRead * this.pageSize);
    const lockPage = lockBytePage(this.pageSize);
    for (let first = from, at = this.#newest.firstFrom(from); first <= this.pageCount; first += perRead) {
      this.#readFile(buffer, first);
      const end = Math.min(first + perRead, this.pageCount + 1);
      for (let pgno = first; pgno < end; pgno++) {
        if (pgno === lockPage) continue;
        const offset = (pgno - first) * this.pageSize;
        const inWal = this.#newest.pgno(at) === pgno;
        const data = inWal ? this.#readFrame(at++) : buffer.subarray(offset, offset + this.pageSize);
        makeCanonical(pgno, data);
        yield { pgno, data };
      }
    }
  }

  /** One page, canonical if it is page 1, copied to `target`, which has the size of a page. `pgno` is 1 to `pageCount`. */
  readPage(pgno: number, target: Uint8Array): void {
    const at = this.#newest.firstFrom(pgno);
    if (this.#newest.pgno(at) === pgno) target.set(this.#readFrame(at));
    else this.#readFile(target, pgno);
    makeCanonical(pgno, target);
  }

  /** Ends the read transaction. Twice, or after the database has adopted the baseline, is harmless. */
  close(): void {
    const pin = this.release();
    pin?.end();
    pin?.close();
  }

  /** Hands the transaction over to who asks, still open; null when the baseline is closed already. */
  release(): Pin | null {
    const pin = this.#pin;
    if (pin !== null) this.#parts.onClose();
    this.#pin = null;
    return pin;
  }

  #readFile(target: Uint8Array, pgno: number): void {
    this.#assertOpen();
    const size = this.#parts.files.read(target, (pgno - 1) * this.pageSize);
    // The file ends earlier than the database while its last pages are in the WAL only.
    if (size < target.length) target.fill(0, size);
  }

  #readFrame(at: number): Uint8Array {
    this.#assertOpen();
    const read = this.#parts.wal.readFrames(this.#frame, this.#newest.frame(at) + 1);
    const header = decodeFrameHeader(this.#frame, 0);
    if (read < 1 || header.pgno !== this.#newest.pgno(at) || !sameGeneration(header, this.position)) {
      throw new DatabaseError(
        "WAL_INDEX_INVALID",
        `the WAL does not hold page ${this.#newest.pgno(at)} where the -shm file says`,
        {
          path: this.#parts.wal.path,
          hint: "Check the database with PRAGMA integrity_check.",
        },
      );
    }
    return this.#frame.subarray(FRAME_HEADER_SIZE);
  }

  #assertOpen(): void {
    if (this.#pin !== null) return;
    throw new DatabaseError("DATABASE_BUSY", "the baseline was closed while it was read", {
      path: this.#parts.files.path,
      hint: "Begin again with a new baseline.",
    });
  }
}

function readNewest(parts: BaselineParts, pageSize: number, pageCount: number): NewestFrames {
  const { maxFrame, backfilled } = parts.state;
  if (backfilled >= maxFrame) return new NewestFrames();
  const frames = new FrameList();
  for (const { offset, count } of walIndexEntries(maxFrame)) {
    const bytes = new Uint8Array(count * 4);
    if (parts.files.readWalIndexBytes(bytes, offset) < bytes.length) {
      throw new DatabaseError("WAL_INDEX_INVALID", "the -shm file is shorter than its header says", {
        path: parts.files.walIndexPath,
        hint: "Stop every process that uses the database, then start them again: SQLite rebuilds the file.",
      });
    }
    for (const pgno of new Uint32Array(bytes.buffer)) frames.add(pgno);
  }
  return frames.newest(frames.length, pageSize, pageCount);
}

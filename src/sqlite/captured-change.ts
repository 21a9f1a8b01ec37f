/** What a capture gives out: the pages that a stretch of commits left behind, and where in the WAL it lies. */
import { DatabaseError } from "./database-error.ts";
import type { NewestFrames } from "./frame-list.ts";
import type { Page, PageRun } from "./page-run.ts";
import type { WalFile } from "./wal-file.ts";
import { decodeFrameHeader, FRAME_HEADER_SIZE, frameOffset, type WalPosition } from "./wal-format.ts";
import { sameGeneration } from "./wal-position.ts";
import type { ScannedCommits } from "./wal-scan.ts";
import { WRITABLE, WRITE_VERSION_OFFSET } from "./write-version.ts";

/** Pages that lie in consecutive frames are read together, up to this many bytes. */
const READ_BYTES = 1 << 20;

/** Write version of a database that is not fenced: what page 1 says in every segment (SQLite file format, section 1.3.3). */

export interface CapturedChange extends PageRun {
  readonly commits: number;
  readonly from: WalPosition;
  readonly to: WalPosition;
  /** Frames read, superseded ones included. */
  readonly frames: number;
  /** Byte offset in the WAL of the first frame. */
  readonly walOffset: bigint;
  /** Bytes of all frames. */
  readonly walSize: bigint;
  /** May be iterated again until the change is accepted. @throws DatabaseError WAL_GAP at the end when the WAL was restarted meanwhile: what was given out is void */
  pages(): Iterable<Page>;
}

/** Makes page 1 say that the database is not fenced, whatever it says. `data` is a buffer of our own. */
export function makeCanonical(pgno: number, data: Uint8Array): void {
  if (pgno === 1) data[WRITE_VERSION_OFFSET] = WRITABLE;
}

/** `assertCurrent` throws when the WAL is no longer of the generation of the position that it is given. */
export function capturedChange(
  wal: WalFile,
  from: WalPosition,
  scanned: ScannedCommits,
  assertCurrent: (position: WalPosition) => void,
): CapturedChange {
  const { to, kept, newest } = scanned;
  const frames = to.frame - from.frame;
  return {
    pageSize: wal.pageSize,
    pageCount: scanned.pageCount,
    commits: scanned.commits,
    from,
    to,
    frames,
    walOffset: BigInt(frameOffset(from.frame + 1, wal.pageSize)),
    walSize: BigInt(frames * wal.frameSize),
    pages: () => (kept === null ? pagesOfWal(wal, from, newest, assertCurrent) : pagesOfMemory(wal, kept, newest)),
  };
}

function* pagesOfMemory(wal: WalFile, kept: Uint8Array, newest: NewestFrames): Generator<Page> {
  for (let at = 0; at < newest.length; at++) {
    const offset = newest.frame(at) * wal.frameSize + FRAME_HEADER_SIZE;
    const data = kept.subarray(offset, offset + wal.pageSize);
    makeCanonical(newest.pgno(at), data);
    yield { pgno: newest.pgno(at), data };
  }
}

function* pagesOfWal(
  wal: WalFile,
  from: WalPosition,
  newest: NewestFrames,
  assertCurrent: (position: WalPosition) => void,
): Generator<Page> {
  const limit = Math.max(1, Math.min(Math.floor(READ_BYTES / wal.frameSize), newest.length));
  const buffer = Buffer.allocUnsafeSlow(limit * wal.frameSize);
  for (let at = 0; at < newest.length; ) {
    const run = newest.runLength(at, limit);
    readRun(wal, buffer.subarray(0, run * wal.frameSize), from, from.frame + newest.frame(at) + 1);
    for (let i = 0; i < run; i++) {
      const pgno = newest.pgno(at + i);
      if (decodeFrameHeader(buffer, i * wal.frameSize).pgno !== pgno) throw overwritten(wal);
      const offset = i * wal.frameSize + FRAME_HEADER_SIZE;
      const data = buffer.subarray(offset, offset + wal.pageSize);
      makeCanonical(pgno, data);
      yield { pgno, data };
    }
    at += run;
  }
  assertCurrent(from);
}

function readRun(wal: WalFile, target: Uint8Array, from: WalPosition, frame: number): void {
  const count = target.length / wal.frameSize;
  if (wal.readFrames(target, frame) < count) throw overwritten(wal);
  for (let i = 0; i < count; i++) {
    if (!sameGeneration(decodeFrameHeader(target, i * wal.frameSize), from)) throw overwritten(wal);
  }
}

function overwritten(wal: WalFile): DatabaseError {
  return new DatabaseError("WAL_GAP", "the WAL was overwritten while it was read", {
    path: wal.path,
    hint: "Nothing is lost: the next capture begins with a resync.",
  });
}

/**
 * What a WAL still holds when nobody has it open any more.
 *
 * No wal-index bounds what counts here, unlike in a running capture: the first connection to a database that nobody has open
 * throws the wal-index away (os_unix.c, unixLockSharedMemory), and recovery then adopts every frame from the start of the file
 * to the last commit before the first frame that has other salts or a wrong checksum (wal.c, walIndexRecover;
 * sqlite.org/walformat.html, section 4.2). So what is found here is what the application would have found.
 */
import { lockBytePage, pageChecksum } from "../ltx/page-checksum.ts";
import { makeCanonical } from "../sqlite/captured-change.ts";
import type { PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import type { WalFile } from "../sqlite/wal-file.ts";
import {
  checksumFrame,
  decodeFrameHeader,
  FRAME_HEADER_SIZE,
  type WalHeader,
  type WalPosition,
} from "../sqlite/wal-format.ts";
import { sameGeneration } from "../sqlite/wal-position.ts";

const CHUNK_BYTES = 4 << 20;

/** Where a journal ends in the WAL. The checksums are null when only a segment's header says so. */
export interface JournalMark extends Omit<WalPosition, "checksum1" | "checksum2"> {
  readonly checksum1: number | null;
  readonly checksum2: number | null;
}

/** How the frames go on from a place. */
export interface FrameChain {
  /** The last frame that follows. */
  readonly end: WalPosition;
  /** The last commit among them; null when there is none. */
  readonly lastCommit: WalPosition | null;
  readonly commits: number;
}

/** How a WAL and the end of a journal meet. */
export type WalMeeting =
  /** The WAL goes on after `from`; when it is damaged before that, SQLite itself would not come so far. */
  | { readonly kind: "continues"; readonly from: WalPosition; readonly isDamaged: boolean }
  /** The journal has more than the WAL: its last frames never reached the disk. */
  | { readonly kind: "ahead"; readonly reason: string }
  | { readonly kind: "different"; readonly reason: string };

/** The place before a generation's first frame. */
export function startOfWal({ salt1, salt2, checksum1, checksum2 }: WalHeader): WalPosition {
  return { salt1, salt2, frame: 0, checksum1, checksum2 };
}

/** Follows the frames after `start`, to frame `until` or as far as they are valid. */
export function followFrames(wal: WalFile, start: WalPosition, until = Number.POSITIVE_INFINITY): FrameChain {
  const perChunk = Math.max(1, Math.floor(CHUNK_BYTES / wal.frameSize));
  const buffer = Buffer.allocUnsafeSlow(perChunk * wal.frameSize);
  const state = Uint32Array.of(start.checksum1, start.checksum2);
  let [end, lastCommit, commits]: [WalPosition, WalPosition | null, number] = [start, null, 0];
  for (;;) {
    const count = Math.min(wal.readFrames(buffer, end.frame + 1), until - end.frame);
    for (let i = 0; i < count; i++) {
      const header = decodeFrameHeader(buffer, i * wal.frameSize);
      checksumFrame(buffer, i * wal.frameSize, wal.pageSize, state);
      const [checksum1 = 0, checksum2 = 0] = state;
      const follows = header.checksum1 === checksum1 && header.checksum2 === checksum2;
      if (header.pgno === 0 || !follows || !sameGeneration(header, start)) return { end, lastCommit, commits };
      end = { ...start, frame: end.frame + 1, checksum1, checksum2 };
      if (header.commit === 0) continue;
      lastCommit = end;
      commits++;
    }
    if (count < perChunk) return { end, lastCommit, commits };
  }
}

/** Frames of the same generation after `position`, the last commit: whole, torn or cut off, they are no part of the database. */
export function countFramesAfter(wal: WalFile, position: WalPosition): number {
  for (let count = 0; ; count++) {
    const header = wal.readFrameHeader(position.frame + count + 1);
    if (header === null || !sameGeneration(header, position)) return count;
  }
}

/** Where the WAL with this header goes on from a journal that ends at `mark`, in the state that `table` speaks of. */
export function meetWal(wal: WalFile, header: WalHeader, mark: JournalMark, table: PageChecksumTable): WalMeeting {
  if (!sameGeneration(header, mark)) {
    return { kind: "different", reason: "the WAL was restarted, or is of another database" };
  }
  const { end } = followFrames(wal, startOfWal(header), mark.frame);
  const from = end.frame === mark.frame ? end : storedPosition(wal, mark);
  const short = `the WAL is valid up to frame ${end.frame}, and the journal ends with frame ${mark.frame}`;
  if (from === null) return { kind: "ahead", reason: short };
  const isKnown = mark.checksum1 === from.checksum1 && mark.checksum2 === from.checksum2;
  const isOther = mark.checksum1 !== null && !isKnown;
  if (!isOther && (mark.frame === 0 || isLastFrame(wal, mark.frame, table)))
    return { kind: "continues", from, isDamaged: from !== end };
  if (from === end) {
    return { kind: "different", reason: `frame ${mark.frame} of the WAL is not the one that the journal ends with` };
  }
  // The frame itself is damaged. What follows it follows its checksum, if that is known to be the right one.
  if (followFrames(wal, from).commits === 0) return { kind: "ahead", reason: short };
  return isKnown
    ? { kind: "continues", from, isDamaged: true }
    : { kind: "different", reason: `${short}: it is damaged in between` };
}

/** A place as the frame itself says it, for a WAL that is damaged before it. */
function storedPosition(wal: WalFile, { salt1, salt2, frame }: JournalMark): WalPosition | null {
  const stored = wal.readFrameHeader(frame);
  if (stored === null || !sameGeneration(stored, { salt1, salt2 })) return null;
  return { salt1, salt2, frame, checksum1: stored.checksum1, checksum2: stored.checksum2 };
}

/** Whether a frame ends the commit that led to the table's state: its page must be that state's, and so must the size. */
function isLastFrame(wal: WalFile, frame: number, table: PageChecksumTable): boolean {
  const bytes = Buffer.allocUnsafeSlow(wal.frameSize);
  if (wal.readFrames(bytes, frame) < 1) return false;
  const { pgno, commit } = decodeFrameHeader(bytes, 0);
  if (commit !== table.pageCount) return false;
  if (pgno > commit || pgno === lockBytePage(wal.pageSize)) return true;
  const data = bytes.subarray(FRAME_HEADER_SIZE);
  makeCanonical(pgno, data);
  const found = new Uint32Array(2);
  const expected = new Uint32Array(2);
  pageChecksum(pgno, data, found);
  table.get(pgno, expected);
  return found[0] === expected[0] && found[1] === expected[1];
}

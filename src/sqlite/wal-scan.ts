/**
 * Walks the frames of the WAL from a known place and finds whole commits, checking salts and the checksum chain of each.
 *
 * Memory does not grow with the transaction but for the frame list: frames are read in chunks into one buffer, unless
 * the stretch is short enough to be kept, so that it is read once.
 */
import { FrameList, type NewestFrames } from "./frame-list.ts";
import type { WalFile } from "./wal-file.ts";
import { checksumFrame, decodeFrameHeader, type WalPosition } from "./wal-format.ts";
import { sameGeneration } from "./wal-position.ts";

/** Up to this many bytes of frames are kept in memory. */
export const KEPT_BYTES = 8 << 20;

const CHUNK_BYTES = 4 << 20;

/** A stretch of whole commits. */
export interface ScannedCommits {
  readonly kind: "commits";
  readonly to: WalPosition;
  readonly commits: number;
  /** Database size in pages after the last commit. */
  readonly pageCount: number;
  /** Frames count from 0 at the stretch's first frame. */
  readonly newest: NewestFrames;
  /** All frames of the stretch, or null when it was too long to keep. */
  readonly kept: Uint8Array | null;
}

/** The frames that the wal-index vouches for are not there. */
export interface BrokenChain {
  readonly kind: "broken";
  readonly reason: string;
}

export interface ScanLimits {
  /** Last frame that a valid wal-index header vouches for: nothing beyond it is committed, whatever the file says. */
  readonly maxFrame: number;
  /** Stop at the last commit within this many bytes of pages; the first commit is taken whatever its size. */
  readonly maxBytes: number;
}

/** Scans from `start` (exclusive) to the last commit within the limits; `limits.maxFrame` is beyond `start.frame`. */
export function scanCommits(wal: WalFile, start: WalPosition, limits: ScanLimits): ScannedCommits | BrokenChain {
  const available = limits.maxFrame - start.frame;
  const keep = available * wal.frameSize <= KEPT_BYTES;
  const perChunk = keep ? available : Math.max(1, Math.floor(CHUNK_BYTES / wal.frameSize));
  // allocUnsafeSlow has a buffer of its own: it begins aligned, which the checksum needs to be quick.
  const buffer = Buffer.allocUnsafeSlow(perChunk * wal.frameSize);
  const scan = new CommitScan(start, limits.maxBytes / wal.pageSize);
  for (let done = 0; done < available && !scan.full; done += perChunk) {
    const wanted = Math.min(perChunk, available - done);
    const chunk = buffer.subarray(0, wanted * wal.frameSize);
    if (wal.readFrames(chunk, start.frame + done + 1) < wanted) {
      return { kind: "broken", reason: `the WAL ends before frame ${start.frame + done + wanted}` };
    }
    const broken = scan.addFrames(chunk, wal.pageSize, wal.frameSize);
    if (broken !== null) return broken;
  }
  return scan.finish(wal.pageSize, keep ? buffer : null);
}

class CommitScan {
  readonly #start: WalPosition;
  readonly #maxFrames: number;
  readonly #frames = new FrameList();
  readonly #checksum: Uint32Array;
  #commits = 0;
  #pageCount = 0;
  #to: WalPosition;
  /** A commit was found and the limit was reached: what follows belongs to the next batch. */
  full = false;

  constructor(start: WalPosition, maxFrames: number) {
    this.#start = start;
    this.#maxFrames = maxFrames;
    this.#checksum = Uint32Array.of(start.checksum1, start.checksum2);
    this.#to = start;
  }

  addFrames(chunk: Uint8Array, pageSize: number, frameSize: number): BrokenChain | null {
    const state = this.#checksum;
    for (let offset = 0; offset < chunk.length && !this.full; offset += frameSize) {
      const header = decodeFrameHeader(chunk, offset);
      const frame = this.#start.frame + this.#frames.length + 1;
      if (!sameGeneration(header, this.#start)) return { kind: "broken", reason: `frame ${frame} has other salts` };
      checksumFrame(chunk, offset, pageSize, state);
      if (header.pgno === 0 || state[0] !== header.checksum1 || state[1] !== header.checksum2) {
        return { kind: "broken", reason: `the checksum of frame ${frame} does not follow from the one before` };
      }
      this.#frames.add(header.pgno);
      this.#endFrame(header.commit, frame);
    }
    return null;
  }

  finish(pageSize: number, kept: Uint8Array | null): ScannedCommits | BrokenChain {
    if (this.#commits === 0)
      return { kind: "broken", reason: "the last frame of the wal-index is not the end of a commit" };
    const length = this.#to.frame - this.#start.frame;
    const newest = this.#frames.newest(length, pageSize, this.#pageCount);
    return { kind: "commits", to: this.#to, commits: this.#commits, pageCount: this.#pageCount, newest, kept };
  }

  #endFrame(commit: number, frame: number): void {
    const beyond = this.#frames.length > this.#maxFrames;
    if (commit > 0 && (!beyond || this.#commits === 0)) {
      const [checksum1 = 0, checksum2 = 0] = this.#checksum;
      this.#to = { salt1: this.#start.salt1, salt2: this.#start.salt2, frame, checksum1, checksum2 };
      this.#commits++;
      this.#pageCount = commit;
    }
    this.full = this.#commits > 0 && this.#frames.length >= this.#maxFrames;
  }
}

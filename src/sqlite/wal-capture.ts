/**
 * Follows the commits of a database through its WAL, from one position to the next.
 *
 * Guarantee: each commit that the wal-index vouches for is given out once and in order, or capture stops with WAL_GAP;
 * a commit that SQLite does not consider made is never given out. Reading the file alone would not do: a writer that dies
 * between its commit frame and the wal-index leaves a commit behind that the next writer overwrites.
 */
import { type CapturedChange, capturedChange } from "./captured-change.ts";
import { DatabaseError } from "./database-error.ts";
import type { DatabaseFiles } from "./database-files.ts";
import { type PinPair, positionOf, startOf } from "./pin-pair.ts";
import type { WalFile } from "./wal-file.ts";
import type { WalPosition } from "./wal-format.ts";
import type { WalIndexState } from "./wal-index.ts";
import { sameGeneration, samePosition } from "./wal-position.ts";
import { KEPT_BYTES, type ScanLimits, type ScannedCommits, scanCommits } from "./wal-scan.ts";

/** The wal-index may move on between two reads of it, but not for ever while the WAL is pinned. */
const SCAN_ATTEMPTS = 100;

export interface CaptureLimits {
  /** The change ends at the last commit within this many bytes of pages; one commit is taken whatever its size. */
  readonly maxBytes: number;
  /** Go no further than this position, which must be a commit at or after the present one. */
  readonly until?: WalPosition;
}

export class WalCapture {
  readonly #files: DatabaseFiles;
  readonly #wal: WalFile;
  readonly #pins: PinPair;
  /** Reads once through SQLite, so that it recovers a wal-index that a dead writer left half written. */
  readonly #recover: () => void;
  #position: WalPosition;
  #gap: string | null;
  /** Commits that were read under the write lock, just before the WAL was allowed to restart. */
  #tail: CapturedChange | null = null;

  constructor(
    parts: { files: DatabaseFiles; wal: WalFile; pins: PinPair; recover: () => void },
    saved: WalPosition | null,
  ) {
    this.#files = parts.files;
    this.#wal = parts.wal;
    this.#pins = parts.pins;
    this.#recover = parts.recover;
    this.#position = saved ?? parts.pins.mark;
    this.#gap = saved === null ? "no position was saved" : this.#whyNotContinued(saved);
  }

  /** Why commits may have passed unseen; null while none have. */
  get gap(): string | null {
    return this.#gap;
  }

  /** @throws DatabaseError WAL_GAP */
  get position(): WalPosition {
    this.#assertNoGap();
    return this.#position;
  }

  /** Whether all that came before the pin has been accepted, so that the pin may be moved. */
  get coversPin(): boolean {
    const { mark } = this.#pins;
    const behind = sameGeneration(this.#position, mark) && this.#position.frame < mark.frame;
    return this.#gap === null && this.#tail === null && !behind;
  }

  hasNewCommits(): boolean {
    if (this.#gap !== null || this.#tail !== null) return true;
    const state = this.#files.peekWalIndex();
    if (state === null) return true;
    if (sameGeneration(state, this.#position)) return state.maxFrame !== this.#position.frame;
    return state.maxFrame > 0 || !this.#mayFollowRestart();
  }

  /** @throws DatabaseError WAL_GAP */
  next(limits: CaptureLimits): CapturedChange | null {
    this.#assertNoGap();
    if (this.#tail !== null) return this.#tail;
    if (limits.until !== undefined && this.#hasReached(limits.until)) return null;
    for (let attempt = 0; attempt < SCAN_ATTEMPTS; attempt++) {
      const state = this.readState();
      const scanned = this.#scan(state, limits);
      // Frames that were read while the WAL was restarted prove nothing, whether they looked right or not.
      if (!sameGeneration(this.readState(), state)) continue;
      if (scanned === null) return null;
      if (scanned.kind === "broken") throw this.#fail(scanned.reason);
      return capturedChange(this.#wal, this.#position, scanned, (position) => this.#assertGeneration(position));
    }
    throw new DatabaseError("DATABASE_BUSY", "the WAL is restarted again and again while it is read", {
      path: this.#wal.path,
      hint: "It is tried again.",
    });
  }

  /** @throws RangeError when `change` does not begin at the present position */
  accept(change: CapturedChange): void {
    if (!samePosition(change.from, this.position))
      throw new RangeError("the change does not begin at the present position");
    this.#position = change.to;
    this.#tail = null;
  }

  /** Goes on from `position`, whose state is known by other means. The pin must be begun at it or before it. */
  resumeAt(position: WalPosition): void {
    this.#position = position;
    this.#gap = null;
    this.#tail = null;
  }

  /** Moves the pin to the newest commit; what was accepted so far must cover the old one. */
  renewPin(): void {
    const before = this.#pins.mark;
    this.#pins.renew();
    const { mark } = this.#pins;
    if (sameGeneration(this.#position, mark) || !samePosition(this.#position, before)) return;
    // The WAL was restarted after all that we know: its start is the same state, and the new pin speaks of it.
    this.#position = mark.frame === 0 ? mark : startOf(this.readState(), this.#wal);
  }

  /**
   * Reads the last commits while nobody can write: the change up to the end of the WAL, null when there is none, or
   * "too large" when it would not fit in memory. It counts only once it is kept.
   */
  readTail(): CapturedChange | null | "too large" {
    const state = this.readState();
    const frames = sameGeneration(state, this.#position) ? state.maxFrame - this.#position.frame : state.maxFrame;
    if (frames * this.#wal.frameSize > KEPT_BYTES) return "too large";
    return this.next({ maxBytes: KEPT_BYTES });
  }

  /** From now on `next` gives out `tail` until it is accepted, because the WAL no longer has to hold it. */
  keepTail(tail: CapturedChange | null): void {
    this.#tail = tail;
  }

  /** The wal-index header, recovered if need be. @throws DatabaseError WAL_INDEX_INVALID */
  readState(): WalIndexState {
    const state = this.#files.readWalIndex();
    if (state !== null) return state;
    this.#recover();
    const recovered = this.#files.readWalIndex();
    if (recovered !== null) return recovered;
    throw new DatabaseError("WAL_INDEX_INVALID", "the -shm file has no valid header", {
      path: this.#files.walIndexPath,
      hint: "Stop every process that uses the database, then start them again: SQLite rebuilds the file.",
    });
  }

  #scan(state: WalIndexState, limits: CaptureLimits): ScannedCommits | { kind: "broken"; reason: string } | null {
    const restarted = !sameGeneration(state, this.#position);
    if (restarted && !this.#mayFollowRestart()) {
      return { kind: "broken", reason: "the WAL was restarted before all of it was read" };
    }
    if (state.maxFrame === 0 && (restarted || this.#position.frame === 0)) return null;
    if (restarted || isUnknownStart(this.#position)) {
      this.#position = startOf(state, this.#wal);
      if (isUnknownStart(this.#position)) return { kind: "broken", reason: "the WAL has no valid header" };
    }
    const { frame } = this.#position;
    const end = positionOf(state, this.#wal);
    if (frame > end.frame)
      return { kind: "broken", reason: `frame ${frame} was read, and the WAL ends at ${end.frame}` };
    if (frame === end.frame) {
      return samePosition(this.#position, end)
        ? null
        : { kind: "broken", reason: `frame ${frame} is not the one that was read` };
    }
    const last = this.#wal.readFrameHeader(end.frame);
    if (last?.checksum1 !== end.checksum1 || last.checksum2 !== end.checksum2) {
      return { kind: "broken", reason: `frame ${end.frame} is not the one that the wal-index speaks of` };
    }
    const bounds = scanLimits(state, limits);
    return bounds.maxFrame <= frame ? null : scanCommits(this.#wal, this.#position, bounds);
  }

  /**
   * A restart of the WAL loses nothing if all that came before the pin was accepted and nothing has come since: then the
   * pin holds read mark 0 or a later one, and the first generation that has frames cannot be restarted in its turn.
   */
  #mayFollowRestart(): boolean {
    return samePosition(this.#position, this.#pins.mark);
  }

  /** Whether `until` is the present state or an earlier one; a restart of the WAL alone changes nothing. */
  #hasReached(until: WalPosition): boolean {
    if (sameGeneration(until, this.#position)) return until.frame <= this.#position.frame;
    return until.frame === 0 && this.#mayFollowRestart();
  }

  #whyNotContinued(saved: WalPosition): string | null {
    const state = this.readState();
    if (!sameGeneration(state, saved)) return "the WAL was restarted since the position was saved";
    if (saved.frame > state.maxFrame) return `frame ${saved.frame} was saved, and the WAL ends at ${state.maxFrame}`;
    const header = this.#wal.readHeader();
    if (header === null || !sameGeneration(header, saved)) return "the WAL file has another header than the wal-index";
    const last = saved.frame === 0 ? header : this.#wal.readFrameHeader(saved.frame);
    const same = last?.checksum1 === saved.checksum1 && last.checksum2 === saved.checksum2;
    return same && sameGeneration(last, saved) ? null : `frame ${saved.frame} is not the one that was saved`;
  }

  #assertGeneration(position: WalPosition): void {
    if (!sameGeneration(this.readState(), position)) throw this.#fail("the WAL was restarted while it was read");
  }

  #assertNoGap(): void {
    if (this.#gap !== null) throw this.#fail(this.#gap);
  }

  #fail(reason: string): DatabaseError {
    this.#gap = reason;
    return new DatabaseError("WAL_GAP", `commits may have passed unseen: ${reason}`, {
      path: this.#wal.path,
      hint: "Nothing is lost: a resync segment with the pages that differ bridges the gap.",
    });
  }
}

/** The start of a generation whose WAL header was not written yet. */
function isUnknownStart(position: WalPosition): boolean {
  return position.frame === 0 && position.checksum1 === 0 && position.checksum2 === 0;
}

function scanLimits(state: WalIndexState, limits: CaptureLimits): ScanLimits {
  const { until, maxBytes } = limits;
  const bounded = until !== undefined && sameGeneration(until, state);
  return { maxBytes, maxFrame: bounded ? Math.min(until.frame, state.maxFrame) : state.maxFrame };
}

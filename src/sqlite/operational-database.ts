/**
 * A database that applications write to, followed commit by commit without their help.
 *
 * Guarantees: every commit is captured once and in order, or a gap is reported, and then a baseline says what the
 * database is; writers are never kept waiting but for the last step of a checkpoint, some milliseconds. The worst
 * outcome is a gap. It changes nothing in the database and, of the file, only what SQLite's own checkpoints write.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Baseline } from "./baseline.ts";
import type { CapturedChange } from "./captured-change.ts";
import { CheckpointConnections, type FrameCopy } from "./checkpoint-connections.ts";
import { DatabaseError } from "./database-error.ts";
import { DatabaseFiles } from "./database-files.ts";
import { Pin } from "./pin.ts";
import { PinPair, positionOf } from "./pin-pair.ts";
import { type CaptureLimits, WalCapture } from "./wal-capture.ts";
import { WalFile } from "./wal-file.ts";
import { frameOffset, type WalPosition } from "./wal-format.ts";
import { samePosition } from "./wal-position.ts";

/**
 * What stands in a checkpoint's way is mostly over in a moment: a commit, or the checkpoint that an application's
 * connection makes after each of its commits. A busy writer adds hundreds of megabytes to the WAL in a second.
 */
const ATTEMPTS = 20;
/** A read transaction that is not over by then is a long one. */
const ATTEMPTS_BESIDE_READERS = 5;
/** After the first attempt; longer by as much after every further one. */
const PAUSE_MS = 2;

/**
 * How a checkpoint ended. "done": all of the WAL is in the database file, and the next writer restarts it. Otherwise the
 * WAL stays as it is and nothing is lost: "busy", somebody else writes or checkpoints; "readers", a long read transaction
 * needs an old state; "behind", too much was committed meanwhile; "fenced", the database is read-only.
 */
export type CheckpointOutcome = "done" | "busy" | "readers" | "behind" | "fenced";

export type Resumption = { readonly kind: "continued" } | { readonly kind: "gap"; readonly reason: string };

interface Parts {
  readonly files: DatabaseFiles;
  readonly wal: WalFile;
  readonly pins: PinPair;
  readonly connections: CheckpointConnections;
}

export class OperationalDatabase {
  readonly pageSize: number;
  /** How the saved position and the WAL met when the database was opened. After a gap, adopt a baseline before all else. */
  readonly resumed: Resumption;
  readonly #parts: Parts;
  readonly #capture: WalCapture;
  readonly #baselines = new Set<Baseline>();
  #state: "open" | "checkpointing" | "closed" = "open";

  private constructor(parts: Parts, saved: WalPosition | null) {
    this.#parts = parts;
    this.pageSize = parts.wal.pageSize;
    this.#capture = new WalCapture({ ...parts, recover: () => parts.connections.recover() }, saved);
    const { gap } = this.#capture;
    this.resumed = gap === null ? { kind: "continued" } : { kind: "gap", reason: gap };
  }

  /**
   * Opens the database and pins its WAL. `saved` is the position up to which commits were captured before.
   * @throws DatabaseError DATABASE_MISSING, DATABASE_EMPTY, DATABASE_NOT_SQLITE, DATABASE_NOT_WAL, DATABASE_PAGE_SIZE,
   * DATABASE_BUSY, DATABASE_UNREADABLE, WAL_BIG_ENDIAN, WAL_INDEX_INVALID
   */
  static open(path: string, options: { saved?: WalPosition | null } = {}): OperationalDatabase {
    const undo: (() => void)[] = [];
    try {
      const files = DatabaseFiles.open(path);
      undo.push(() => files.close());
      const { pageSize } = files.readHeader();
      const first = new Pin(files);
      undo.push(() => first.close());
      first.touch();
      assertWalMode(files);
      files.attachWalIndex();
      const wal = new WalFile(files.walPath, pageSize);
      undo.push(() => wal.close());
      // A WAL that was made on another kind of machine has a wal-index that we do not read: say so before we try.
      wal.readHeader();
      const pins = PinPair.begin(files, wal, first);
      undo.push(() => pins.close());
      const connections = new CheckpointConnections(files.path);
      undo.push(() => connections.close());
      // The pin comes before the look at `saved`: what is found there can then no longer be lost.
      return new OperationalDatabase({ files, wal, pins, connections }, options.saved ?? null);
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }

  /** What to save with the journal: all before it is captured and accepted. @throws DatabaseError WAL_GAP */
  get position(): WalPosition {
    return this.#capture.position;
  }

  /** The newest commit in the WAL, captured or not. */
  get end(): WalPosition {
    return positionOf(this.#capture.readState(), this.#parts.wal);
  }

  /** Bytes of the WAL that hold frames of the present generation. */
  get walBytes(): number {
    const { maxFrame } = this.#capture.readState();
    return maxFrame === 0 ? 0 : frameOffset(maxFrame + 1, this.pageSize);
  }

  /** Frames in the WAL, and how many of them a checkpoint has copied into the database file. */
  get backfill(): { readonly frames: number; readonly copied: number } {
    const { maxFrame, backfilled } = this.#capture.readState();
    return { frames: maxFrame, copied: backfilled };
  }

  /** Whether a baseline is open, which keeps the WAL from being restarted. */
  get hasBaseline(): boolean {
    return this.#baselines.size > 0;
  }

  /** Whether {@link capture} would find something; one small read, so it may be asked many times a second. */
  hasNewCommits(): boolean {
    return this.#capture.hasNewCommits();
  }

  /**
   * The next stretch of whole commits, null when there is none. The same one again until it is accepted.
   * @throws DatabaseError WAL_GAP when commits may have passed unseen: adopt a baseline, or open the database again
   */
  capture(limits: CaptureLimits): CapturedChange | null {
    return this.#capture.next(limits);
  }

  /** Moves the position to the end of `change`, which must be durable by now. */
  accept(change: CapturedChange): void {
    this.#capture.accept(change);
  }

  /** The whole database at the newest commit. Close it soon: it keeps the WAL from being restarted. */
  baseline(): Baseline {
    const { files, wal, pins } = this.#parts;
    const begun = pins.beginAnother();
    try {
      const baseline: Baseline = new Baseline({
        files,
        wal,
        ...begun,
        onClose: () => this.#baselines.delete(baseline),
      });
      this.#baselines.add(baseline);
      return baseline;
    } catch (error) {
      begun.pin.end();
      begun.pin.close();
      throw error;
    }
  }

  /**
   * Makes the position that of `baseline`, which must be durable by now, and closes it. Its read transaction becomes the
   * pin, so that all that was committed since is still there to be captured.
   */
  adopt(baseline: Baseline): void {
    const pin = this.#baselines.has(baseline) ? baseline.release() : null;
    if (pin === null) throw new RangeError("the baseline is closed, or it is of another database");
    this.#parts.pins.adopt(pin, baseline.position);
    this.#capture.resumeAt(baseline.position);
  }

  /**
   * Copies the WAL into the database file and lets the next writer restart it. `cut` captures, makes durable and accepts
   * all that is committed when it is called; no lock is held meanwhile. Not while a baseline is open.
   */
  async checkpoint(cut: () => Promise<void>): Promise<CheckpointOutcome> {
    if (this.#state !== "open") return "busy";
    if (this.#baselines.size > 0) return "readers";
    if (this.#isCheckpointed()) return "done";
    this.#state = "checkpointing";
    try {
      await cut();
      if (!this.#mayGoOn()) return "behind";
      this.#capture.renewPin();
      const bulk = await this.#copyPatiently();
      if (bulk.busy) return "busy";
      if (bulk.copied < this.#parts.pins.mark.frame) return "readers";
      for (let attempt = 1; ; attempt++) {
        await cut();
        const outcome = this.#mayGoOn() ? this.#finishCheckpoint() : "behind";
        const attempts = outcome === "readers" ? ATTEMPTS_BESIDE_READERS : ATTEMPTS;
        if (outcome === "done" || outcome === "fenced" || attempt >= attempts) return outcome;
        await delay(PAUSE_MS * attempt);
      }
    } finally {
      if (this.#state === "checkpointing") this.#state = "open";
    }
  }

  /**
   * Looks whether the files at the paths are those that are open. Cheap.
   * @throws DatabaseError DATABASE_MISSING, DATABASE_REPLACED, DATABASE_NOT_WAL
   */
  checkIdentity(): void {
    this.#parts.files.checkIdentity();
    this.#parts.wal.checkIdentity();
    assertWalMode(this.#parts.files);
  }

  /** Closes what only a checkpoint needs, until the next one: for a database that nobody writes to. Cheap. */
  rest(): void {
    if (this.#state !== "open") return;
    this.#parts.connections.close();
    this.#parts.pins.rest();
  }

  /** Ends the pin and closes everything. When no other process has the database open, SQLite then removes the WAL. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    const { files, wal, pins, connections } = this.#parts;
    for (const baseline of [...this.#baselines]) baseline.close();
    pins.close();
    connections.close();
    wal.close();
    files.close();
  }

  #mayGoOn(): boolean {
    return this.#state === "checkpointing" && this.#baselines.size === 0 && this.#capture.coversPin;
  }

  #isCheckpointed(): boolean {
    const { maxFrame, backfilled } = this.#capture.readState();
    const { mark } = this.#parts.pins;
    if (this.#capture.gap !== null || this.#capture.hasNewCommits()) return false;
    return backfilled === maxFrame && mark.frame === maxFrame && samePosition(this.#capture.position, mark);
  }

  /** The part under the write lock: nothing in it waits for anything but the disk. */
  #finishCheckpoint(): CheckpointOutcome {
    const { pins, connections } = this.#parts;
    const lock = connections.takeWriteLock();
    if (lock !== "held") return lock;
    try {
      const tail = this.#capture.readTail();
      if (tail === "too large") return "behind";
      // Pinned at the very end, this reader does not stop the copying, and there is no moment without a pin.
      this.#capture.renewPin();
      const known = tail?.to ?? this.#capture.position;
      if (!samePosition(known, pins.mark)) return "behind";
      const rest = connections.copyFrames();
      if (rest.busy) return "busy";
      if (rest.copied < rest.frames) return "readers";
      // Now that all is copied, a new reader takes read mark 0, which lets the next writer restart the WAL.
      this.#capture.renewPin();
      this.#capture.keepTail(tail);
      return "done";
    } finally {
      connections.freeWriteLock();
    }
  }

  /** While somebody else is checkpointing, it waits a little. */
  async #copyPatiently(): Promise<FrameCopy> {
    const { connections } = this.#parts;
    let copy = connections.copyFrames();
    for (let attempt = 1; copy.busy && attempt < ATTEMPTS; attempt++) {
      await delay(PAUSE_MS * attempt);
      if (this.#state !== "checkpointing") break;
      copy = connections.copyFrames();
    }
    return copy;
  }
}

function assertWalMode(files: DatabaseFiles): void {
  if (files.readHeader().readVersion === 2) return;
  throw new DatabaseError("DATABASE_NOT_WAL", "the database uses a rollback journal, not a WAL", {
    path: files.path,
    hint: "Run `PRAGMA journal_mode=WAL` once (`afterimage init` offers to); it stays so.",
  });
}

export type { Baseline, CapturedChange };

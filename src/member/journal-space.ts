/**
 * How much room the journal has: its own limit, `journal.maxBytes`, and what must stay free on the file systems of the
 * journal and of the databases, `journal.minFree`.
 *
 * Guarantee: nothing is written to the journal that would break a limit, as far as can be known beforehand; what is not
 * known beforehand (one huge transaction) is asked about again while it is written.
 */
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { JournalConfiguration } from "../config/configuration.ts";
import type { StateStore } from "../journal/state-store.ts";
import { type FreeSpace, freeSpace } from "./free-space.ts";
import { MemberError } from "./member-error.ts";

const GIB = 2 ** 30;
/** Room for the newest snapshot, the next one, and as much again in segments. */
const DATABASE_SIZES = 4;
const DEFAULT_MAX_BYTES = 10 * GIB;
/** A WAL of this size slows nobody down, however small the database is. */
const WAL_BYTES_ALLOWED = 256 * 1024 * 1024;
/** What is left of the limit when the journal has come near to it. */
const NEAR = 0.2;
/** A shortage is over only when this much more than the least is free: else it would come and go with every segment. */
const EASE = 0.1;

export type Shortage = "SPOOL_FULL" | "DISK_LOW";

export interface SpaceOptions {
  /** The journal directory. */
  readonly directory: string;
  readonly store: StateStore;
  /** Read anew at each use, as it is replaced by a reload. */
  readonly configuration: JournalConfiguration;
  /** Files of the databases that are served now, by name. */
  readonly databases: ReadonlyMap<string, string>;
}

/** What the room is asked for. */
export interface Purpose {
  /** Bytes of the file that were written already: on the disk, but not in the catalogue. */
  readonly written?: number;
  readonly snapshot?: boolean;
}

/** Who keeps the journal within its limits. */
export interface SpaceKeeper {
  /** Frees bytes of the journal if it can. Asked when there is not enough room, before anybody is told. */
  makeRoom(bytes: number): void;
  /** The journal has come near to its limit. */
  comesNear(): void;
}

export interface SpaceView {
  readonly bytes: number;
  readonly maxBytes: number;
  /** Of the journal's file system. */
  readonly freeBytes: number;
  readonly minFreeBytes: number;
}

export class JournalSpace {
  readonly #options: SpaceOptions;
  #bytes = 0;
  #databaseBytes: readonly number[] = [];
  #keeper: SpaceKeeper = { makeRoom: () => {}, comesNear: () => {} };

  constructor(options: SpaceOptions) {
    this.#options = options;
    const { store } = options;
    for (const name of store.databaseNames()) this.#bytes += store.segmentTotals(name).bytes;
    this.measure();
  }

  set keeper(keeper: SpaceKeeper) {
    this.#keeper = keeper;
  }

  /** Bytes of all catalogued files. */
  get bytes(): number {
    return this.#bytes;
  }

  get maxBytes(): number {
    const { maxBytes } = this.#options.configuration;
    const needed = DATABASE_SIZES * this.#databaseBytes.reduce((sum, bytes) => sum + bytes, 0);
    return maxBytes ?? Math.max(DEFAULT_MAX_BYTES, needed);
  }

  /** The journal has become larger, or, with a negative number, smaller. */
  grew(bytes: number): void {
    this.#bytes += bytes;
    if (bytes > 0 && this.isNear) this.#keeper.comesNear();
  }

  /** Bytes that the journal may have: by its own limit, or by what its file system can still take. */
  get capacity(): number {
    const { free, least } = this.#freeOf(this.#options.directory);
    return Math.min(this.maxBytes, this.#bytes + Math.max(0, free - least));
  }

  /** Whether the journal has come near to its limit. */
  get isNear(): boolean {
    return this.#bytes + this.#reserve > (1 - NEAR) * this.capacity;
  }

  /** Looks how large the databases are now. */
  measure(): void {
    const { store, databases } = this.#options;
    this.#databaseBytes = [...databases].map(([name, path]) => {
      const row = store.database(name);
      const fileBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      return Math.max(fileBytes, (row?.pageCount ?? 0) * (row?.pageSize ?? 0));
    });
  }

  /**
   * Bytes that are missing for `extra` more, and why; null when there is room. Segments leave the room that the next snapshot
   * needs, because a snapshot is what lets the journal before it go.
   */
  shortage(extra: number, purpose: Purpose = {}): { code: Shortage; bytes: number } | null {
    const { free, least } = this.#freeOf(this.#options.directory);
    const overDisk = extra + least - free;
    if (overDisk > 0) return { code: "DISK_LOW", bytes: Math.ceil(overDisk) };
    const overCap = this.#overCap(extra, purpose);
    return overCap > 0 ? { code: "SPOOL_FULL", bytes: Math.ceil(overCap) } : null;
  }

  /** Room that is kept for the next snapshot. */
  get #reserve(): number {
    return Math.min(Math.max(0, ...this.#databaseBytes), this.maxBytes / 3);
  }

  #overCap(extra: number, { written = 0, snapshot = false }: Purpose): number {
    return this.#bytes + written + extra + (snapshot ? 0 : this.#reserve) - this.maxBytes;
  }

  /** Whether a shortage that there was is over, with some room to spare. */
  get isEased(): boolean {
    const { free, least } = this.#freeOf(this.#options.directory);
    return free >= (1 + EASE) * least && this.#overCap(EASE * this.maxBytes, {}) <= 0;
  }

  /** Makes room for `bytes` more, if need be and it can. @throws MemberError SPOOL_FULL, DISK_LOW when there is not enough. */
  assertRoom(bytes: number, purpose: Purpose = {}): void {
    const missing = this.shortage(bytes, purpose);
    if (missing === null) return;
    this.#keeper.makeRoom(missing.bytes);
    const still = this.shortage(bytes, purpose);
    if (still !== null) throw this.#error(still);
  }

  /**
   * Whether our read transaction may go on keeping a database's WAL from being restarted. Not when its file system is running
   * out of space, nor when the WAL is larger than the database: a resync is cheaper then.
   */
  mayHoldWal(path: string, walBytes: number, databaseBytes: number): boolean {
    // The file itself, because its path may be a symbolic link to another file system.
    const { free, least } = this.#freeOf(existsSync(path) ? path : dirname(path));
    return free >= least && walBytes <= Math.max(WAL_BYTES_ALLOWED, databaseBytes);
  }

  view(): SpaceView {
    const { free, least } = this.#freeOf(this.#options.directory);
    return { bytes: this.#bytes, maxBytes: this.maxBytes, freeBytes: free, minFreeBytes: least };
  }

  #freeOf(path: string): FreeSpace {
    return freeSpace(path, this.#options.configuration);
  }

  #error(missing: { code: Shortage; bytes: number }): MemberError {
    const { bytes, maxBytes, freeBytes, minFreeBytes } = this.view();
    const path = this.#options.directory;
    if (missing.code === "DISK_LOW") {
      return new MemberError(
        "DISK_LOW",
        `${freeBytes} bytes are free for the journal, ${minFreeBytes} must stay free`,
        {
          path,
          hint: "Free some space on that file system; work goes on by itself. Nothing is lost: a resync bridges what was missed.",
        },
      );
    }
    return new MemberError("SPOOL_FULL", `the journal has ${bytes} bytes and may have ${maxBytes}`, {
      path,
      hint: "Raise `journal.maxBytes`, to at least three times the databases' size; work then goes on without loss.",
    });
  }
}

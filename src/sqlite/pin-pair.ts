/** Two pins that take turns, so that there is no moment without one. */
import type { DatabaseFiles } from "./database-files.ts";
import { Pin } from "./pin.ts";
import type { WalFile } from "./wal-file.ts";
import type { WalPosition } from "./wal-format.ts";
import type { WalIndexState } from "./wal-index.ts";
import { sameGeneration } from "./wal-position.ts";

export class PinPair {
  readonly #files: DatabaseFiles;
  readonly #wal: WalFile;
  #held: Pin;
  /** Opened when it is needed first. */
  #spare: Pin | null = null;
  #mark: WalPosition;

  private constructor(files: DatabaseFiles, wal: WalFile, held: Pin, mark: WalPosition) {
    this.#files = files;
    this.#wal = wal;
    this.#held = held;
    this.#mark = mark;
  }

  /** Takes over `first` and begins it. */
  static begin(files: DatabaseFiles, wal: WalFile, first: Pin): PinPair {
    const mark = positionOf(first.begin(), wal);
    return new PinPair(files, wal, first, mark);
  }

  /** The commit at which the held transaction began: everything after it stays readable in the WAL. */
  get mark(): WalPosition {
    return this.#mark;
  }

  /** Moves the pin to the newest commit: the other transaction begins before this one ends. */
  renew(): void {
    const next = this.#spare ?? new Pin(this.#files);
    this.#spare = next;
    this.#mark = positionOf(next.begin(), this.#wal);
    this.#held.end();
    [this.#held, this.#spare] = [next, this.#held];
  }

  /** Replaces the pin by one that is already begun at `mark`. */
  adopt(pin: Pin, mark: WalPosition): void {
    this.#held.end();
    this.#held.close();
    this.#held = pin;
    this.#mark = mark;
  }

  /** Begins a transaction of its own for a baseline. */
  beginAnother(): { pin: Pin; state: WalIndexState; position: WalPosition } {
    const pin = new Pin(this.#files);
    try {
      const state = pin.begin();
      return { pin, state, position: positionOf(state, this.#wal) };
    } catch (error) {
      pin.close();
      throw error;
    }
  }

  /** Closes the one that is not held. */
  rest(): void {
    this.#spare?.close();
    this.#spare = null;
  }

  close(): void {
    this.rest();
    this.#held.end();
    this.#held.close();
  }
}

/**
 * The end of the WAL as a position. The checksum in an empty WAL's wal-index is a left-over: the WAL header's counts, if
 * it is already that of this generation.
 */
export function positionOf(state: WalIndexState, wal: WalFile): WalPosition {
  const { salt1, salt2, maxFrame, checksum1, checksum2 } = state;
  return maxFrame === 0 ? startOf(state, wal) : { salt1, salt2, frame: maxFrame, checksum1, checksum2 };
}

/** The start of the generation that `state` names. */
export function startOf(state: WalIndexState, wal: WalFile): WalPosition {
  const { salt1, salt2 } = state;
  const header = wal.readHeader();
  const known = header !== null && sameGeneration(header, state);
  return { salt1, salt2, frame: 0, checksum1: known ? header.checksum1 : 0, checksum2: known ? header.checksum2 : 0 };
}

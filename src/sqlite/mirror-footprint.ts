/**
 * How a mirror's files look when only SQLite and we have touched them, so that a change by anything else is noticed without
 * reading them: a page that was edited by hand, a file that was copied over, a fence that was taken away.
 *
 * What looks touched may still be right (`touch`, a copy back): only comparing every page tells.
 */
import { statSync } from "node:fs";
import { z } from "zod";
import type { DatabaseFiles } from "./database-files.ts";
import type { WalIndexState } from "./wal-index.ts";
import { FENCED } from "./write-version.ts";

const digits = z.string().regex(/^\d+$/);
const fileFootprint = z.object({
  inode: digits,
  /** Bytes. */
  size: digits,
  modifiedNs: digits,
});

/** A database file as it was last known to be right. Plain JSON, kept by the caller beside its position. */
export type FileFootprint = Readonly<z.infer<typeof fileFootprint>>;

/** From what JSON.parse gave; null when it is not a footprint. */
export function parseFileFootprint(value: unknown): FileFootprint | null {
  return fileFootprint.safeParse(value).data ?? null;
}

export class MirrorFootprint {
  readonly #files: DatabaseFiles;
  #file: FileFootprint | null = null;
  #wal: FileFootprint | null = null;
  #checkpointed = { frames: 0, begun: 0, salt1: 0 };

  constructor(files: DatabaseFiles) {
    this.#files = files;
  }

  /** The database file when it was last known to be right. */
  get file(): FileFootprint | null {
    return this.#file;
  }

  /** Everything is as it should be: call it when that is known, under the write lock or without an append under way. */
  accept(state: WalIndexState): void {
    this.#file = footprintOf(this.#files.path);
    this.acceptWal(state);
  }

  /** The WAL is as it should be, after an append of ours; the database file was not ours to touch meanwhile. */
  acceptWal(state: WalIndexState): void {
    this.#wal = footprintOf(this.#files.walPath);
    this.#note(state);
  }

  /** Whether something touched the files that was neither an append of ours nor a checkpoint of anybody's. */
  isTouched(state: WalIndexState): boolean {
    // Looked at before the file: a checkpoint says what it will copy before it does, and what it has copied afterwards.
    const mayCheckpoint = this.#isCheckpointed(state);
    const file = footprintOf(this.#files.path);
    const wal = footprintOf(this.#files.walPath);
    if (state.maxFrame > 0 && !sameFootprint(wal, this.#wal)) return true;
    if (!sameFootprint(file, this.#file)) {
      if (!mayCheckpoint || this.#files.readHeader().writeVersion !== FENCED) return true;
      this.#file = file;
    }
    this.#wal = wal;
    this.#note(state);
    return false;
  }

  #isCheckpointed({ backfilled, backfillBegun, salt1 }: WalIndexState): boolean {
    const { frames, begun, salt1: before } = this.#checkpointed;
    return backfilled !== frames || backfillBegun !== begun || salt1 !== before || backfilled < backfillBegun;
  }

  #note({ backfilled, backfillBegun, salt1 }: WalIndexState): void {
    this.#checkpointed = { frames: backfilled, begun: backfillBegun, salt1 };
  }
}

/** The file as it is now; null when there is none. */
export function footprintOf(path: string): FileFootprint | null {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return null;
  return { inode: stat.ino.toString(), size: stat.size.toString(), modifiedNs: stat.mtimeNs.toString() };
}

export function sameFootprint(a: FileFootprint | null, b: FileFootprint | null): boolean {
  return a !== null && b !== null && a.inode === b.inode && a.size === b.size && a.modifiedNs === b.modifiedNs;
}

/**
 * A mirror's copy as it is, whatever it should be: its page checksums, read from its pages, and the change that makes it
 * what the upstream has. The state learns of it only through what {@link AppliedCopy} saves.
 */
import { renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { fsyncDirectory } from "../durable-files.ts";
import { FileSource } from "../journal/file-source.ts";
import { isSnapshot } from "../ltx/header.ts";
import { type Checksum, formatChecksum } from "../ltx/position.ts";
import type { SegmentSummary } from "../ltx/verify-segment.ts";
import { DatabaseError } from "../sqlite/database-error.ts";
import { MirrorDatabase } from "../sqlite/mirror-database.ts";
import { type ChecksumChunkStore, PageChecksumTable } from "../sqlite/page-checksum-table.ts";
import { type PageSums, PageSumsStore, writePageSums } from "../sqlite/page-sums.ts";
import type { ClosedSignature } from "../sqlite/wal-mark.ts";
import { mergeSegments } from "./merged-segments.ts";
import { recordOf } from "./mirror-record.ts";

/** A copy after its change, which the state does not know yet. */
export interface AppliedCopy {
  /** For the database's row; see mirror-record.ts. */
  readonly mirrorMark: unknown;
  /** Writes the page checksums; call it in the transaction that records the position. */
  saveChecksums(): void;
  /** Lets go of the files. */
  close(): Promise<ClosedSignature | null>;
}

interface FoundOptions {
  /** Where its page checksums go. */
  readonly sumsPath: string;
  /** The database's page checksums in the state. */
  readonly chunks: ChecksumChunkStore;
  /** Called for every page that is read. */
  readonly onPage?: () => void;
}

interface Parts {
  readonly database: MirrorDatabase;
  readonly table: PageChecksumTable;
  readonly store: PageSumsStore;
  readonly sums: PageSums;
}

export class FoundCopy {
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Reads every page, and holds the copy open. @throws DatabaseError as {@link MirrorDatabase.openAsFound}. */
  static async open(path: string, { sumsPath, chunks, onPage }: FoundOptions): Promise<FoundCopy> {
    let read: Omit<Parts, "database"> | null = null;
    try {
      const database = await MirrorDatabase.openAsFound(path, {
        read: async (image) => {
          const sums = await writePageSums(sumsPath, image, onPage);
          const store = new PageSumsStore(sumsPath, chunks);
          const table = new PageChecksumTable(store, sums.pages, sums.checksum);
          read = { sums, store, table };
          return table;
        },
      });
      if (read === null) throw new Error("the copy was not read");
      const parts: Omit<Parts, "database"> = read;
      return new FoundCopy({ ...parts, database });
    } catch (error) {
      closeStore(read);
      throw error;
    }
  }

  /**
   * Puts a new copy in the place of one that cannot be used, once it is complete. Who has the old one open keeps it.
   * @param answerPath a snapshot that was verified
   */
  static async replace(
    path: string,
    { answerPath, summary, chunks }: { answerPath: string; summary: SegmentSummary; chunks: ChecksumChunkStore },
  ): Promise<AppliedCopy> {
    const blank: ChecksumChunkStore = {
      readChunk: () => null,
      writeChunk: (chunk, bytes) => chunks.writeChunk(chunk, bytes),
      deleteChunksFrom: (from) => chunks.deleteChunksFrom(from),
    };
    const table = new PageChecksumTable(blank);
    const fresh = `${path}.afterimage-rebuilt`;
    rmSync(fresh, { force: true });
    using source = new FileSource(answerPath);
    const { run, ...proof } = mergeSegments([source], summary.postApplyChecksum);
    await MirrorDatabase.create(fresh, run, { table, ...proof });
    replaceDatabase(fresh, path);
    return {
      mirrorMark: null,
      saveChecksums: () => {
        chunks.deleteChunksFrom(0);
        table.flush();
      },
      close: async () => null,
    };
  }

  get pageSize(): number {
    return this.#parts.database.pageSize;
  }

  get checksum(): Checksum {
    return this.#parts.sums.checksum;
  }

  /** What a request says of it. */
  get facts() {
    const { pages, sha256, checksum } = this.#parts.sums;
    return { pages, sha256, checksum: formatChecksum(checksum), pageSize: this.pageSize };
  }

  /** @throws DatabaseError MIRROR_INCONSISTENT when it has changed since it was read. */
  async examine(): Promise<void> {
    await this.#parts.database.examine();
  }

  /** Applies a difference to this copy, or a snapshot, as one commit. Nothing has changed when it throws. */
  async apply(answerPath: string, summary: SegmentSummary): Promise<AppliedCopy> {
    const { database, table, store } = this.#parts;
    using source = new FileSource(answerPath);
    const { run, ...proof } = mergeSegments([source], summary.postApplyChecksum);
    const mark = isSnapshot(summary.header)
      ? await database.integrateDifference(run, proof)
      : await database.integrate(run, proof);
    return {
      mirrorMark: recordOf(database, mark),
      saveChecksums: () => {
        store.copyAll();
        table.flush();
      },
      close: async () => await this.close(),
    };
  }

  /** Twice is harmless. */
  async close(): Promise<ClosedSignature | null> {
    closeStore(this.#parts);
    return await this.#parts.database.close();
  }
}

/** Gives a database file, which has no WAL, the place of another one. Who has that one open keeps it. */
export function replaceDatabase(file: string, path: string): void {
  // Before the new file has the name: SQLite would take the old WAL for its own.
  for (const suffix of ["-wal", "-shm", "-journal"]) rmSync(`${path}${suffix}`, { force: true });
  renameSync(file, path);
  fsyncDirectory(dirname(path));
}

/** For a `catch`: null when there is no copy, or none that could be read; other errors are thrown. */
export function unusableCopy(error: unknown): null {
  const isUnusable = error instanceof DatabaseError && UNUSABLE.has(error.code);
  if (isUnusable) return null;
  throw error;
}

const UNUSABLE: ReadonlySet<string> = new Set([
  "DATABASE_MISSING",
  "DATABASE_EMPTY",
  "DATABASE_NOT_SQLITE",
  "DATABASE_NOT_WAL",
  "DATABASE_PAGE_SIZE",
  "WAL_BIG_ENDIAN",
]);

function closeStore(parts: { readonly store: PageSumsStore } | null): void {
  parts?.store[Symbol.dispose]();
}

/**
 * The journal directory: segments and snapshots of every database, in the layout that Litestream restores from.
 *
 * Guarantee: a file has its final name only when it is whole and durable, and it is never changed afterwards. The order
 * is always file first, catalogue row second (in the caller's transaction, with the position); a crash between the two
 * leaves a file without a row, which {@link Journal.removeStray} takes away before work goes on. Deleting is the other
 * way round: row first, file second. What it does not do: look inside the files; see src/ltx.
 */
import { lstatSync, readdirSync } from "node:fs";
import { lstat, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  fsyncDirectory,
  fsyncDirectoryAsync,
  fsyncFileAsync,
  isPartName,
  makeDirectoryAsync,
  removeFile,
} from "../durable-files.ts";
import { errnoOf } from "../errno.ts";
import { sameFileContents } from "../file-contents.ts";
import { readHeader, type SegmentHeader } from "../ltx/header.ts";
import type { Txid } from "../ltx/position.ts";
import { moveFile } from "../move-file.ts";
import { type ChainProblem, checkChain } from "./chain-check.ts";
import { EndMarks } from "./end-mark.ts";
import { FileSource } from "./file-source.ts";
import { JournalError, journalError } from "./journal-error.ts";
import type { SegmentCatalogue } from "./segment-catalogue.ts";
import {
  formatLevelPath,
  formatSegmentPath,
  parseSegmentPath,
  type SegmentKind,
  type SegmentRef,
} from "./segment-name.ts";
import { SegmentWriter } from "./segment-writer.ts";

export type { SegmentRef } from "./segment-name.ts";
export type { SegmentWriter } from "./segment-writer.ts";

const KINDS: readonly SegmentKind[] = ["segment", "snapshot"];

export class Journal {
  readonly directory: string;
  readonly #catalogue: SegmentCatalogue;
  readonly #endMarks: EndMarks;

  constructor(directory: string, catalogue: SegmentCatalogue) {
    this.directory = directory;
    this.#catalogue = catalogue;
    this.#endMarks = new EndMarks(directory, catalogue);
  }

  /** Where a segment's file is, or would be. @throws JournalError JOURNAL_NAME_INVALID. */
  path(ref: SegmentRef): string {
    return join(this.directory, formatSegmentPath(ref));
  }

  exists(ref: SegmentRef): boolean {
    return lstatSync(this.path(ref), { throwIfNoEntry: false })?.isFile() ?? false;
  }

  /**
   * Begins a new file. Nothing is to be seen of it before its `commit`.
   * @throws JournalError JOURNAL_SEGMENT_EXISTS when the catalogue has it, JOURNAL_NAME_INVALID, JOURNAL_FULL, JOURNAL_IO.
   */
  create(ref: SegmentRef): SegmentWriter {
    const path = this.path(ref);
    if (this.#catalogue.get(ref) !== null) {
      throw new JournalError("JOURNAL_SEGMENT_EXISTS", "the journal has this segment, and segments never change", {
        path,
        hint: "Run `afterimage verify`; the position in the state and the journal do not fit together.",
      });
    }
    return new SegmentWriter(path);
  }

  /** Opens a file for reading; the caller closes it. @throws JournalError JOURNAL_FILE_MISSING, JOURNAL_IO. */
  open(ref: SegmentRef): FileSource {
    const path = this.path(ref);
    try {
      return new FileSource(path);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw journalError(error, "open journal file", path);
      throw new JournalError("JOURNAL_FILE_MISSING", "a segment of the journal is missing", {
        path,
        cause: error,
        hint: "Someone removed it: fetch it from another member, or rebuild the members that still need it.",
      });
    }
  }

  /** @throws SegmentError when it is damaged, and as {@link open}. */
  readHeader(ref: SegmentRef): SegmentHeader {
    using source = this.open(ref);
    return readHeader(source);
  }

  /** {@link adoptAll} of one file. */
  async adopt(sourcePath: string, ref: SegmentRef): Promise<"adopted" | "present"> {
    const [outcome = "present"] = await this.adoptAll([{ sourcePath, ref }]);
    return outcome;
  }

  /**
   * Moves verified files into the journal and makes them durable there, all at once: their directory is synced once. Doing it
   * again is harmless: `present` says that the journal had the file already (the source is removed when it still exists and is
   * the same). When one of them fails, others may have been moved.
   * @throws JournalError JOURNAL_DIFFERS when the catalogue knows a segment of this name and the file is another one;
   *   JOURNAL_SOURCE_INVALID when the source is missing or no regular file; JOURNAL_FULL, JOURNAL_IO.
   */
  async adoptAll(files: readonly { sourcePath: string; ref: SegmentRef }[]): Promise<("adopted" | "present")[]> {
    const directories = new Set<string>();
    const outcomes = await Promise.all(
      files.map(async ({ sourcePath, ref }) => {
        const path = this.path(ref);
        directories.add(dirname(path));
        try {
          return await this.#adopt(sourcePath, path, ref);
        } catch (error) {
          throw journalError(error, "take file into the journal", path);
        }
      }),
    );
    for (const directory of directories) await fsyncDirectoryAsync(directory);
    return outcomes;
  }

  /** Everything but the sync of the directory. */
  async #adopt(source: string, path: string, ref: SegmentRef): Promise<"adopted" | "present"> {
    const sourceKind = await kindOf(source);
    const present = (await kindOf(path)) === "file";
    if (sourceKind === "missing" && present) {
      await fsyncFileAsync(path);
      return "present";
    }
    if (sourceKind !== "file") {
      throw new JournalError("JOURNAL_SOURCE_INVALID", `a received file is ${sourceKind}`, {
        path: source,
        hint: "Only regular files are accepted; it will be asked for again.",
      });
    }
    if (present && (await sameFileContents(source, path))) {
      await fsyncFileAsync(path);
      await rm(source);
      return "present";
    }
    if (present && this.#catalogue.get(ref) !== null) {
      throw new JournalError("JOURNAL_DIFFERS", "a received file differs from the journal's segment of the same name", {
        path: source,
        hint: "Two histories meet: run `afterimage whois-operational` before anything else.",
      });
    }
    await makeDirectoryAsync(dirname(path));
    await moveFile(source, path);
    return "adopted";
  }

  /** Tells Litestream where a database's journal ends (see end-mark.ts). Call it when that end has moved, and before strays are removed. */
  markEnd(database: string): void {
    this.#endMarks.move(database);
  }

  /** Whether the catalogued segments of a database follow one another and have their files; see chain-check.ts. */
  async verifyChain(database: string): Promise<ChainProblem[]> {
    return await checkChain(this.#catalogue, database, (row) => this.path(row));
  }

  /** Removes a file, after its row; false when there was none. */
  remove(ref: SegmentRef): boolean {
    return removeFile(this.path(ref));
  }

  /**
   * Removes what a crash left in one epoch: part files, and files beyond `afterTxid` that the catalogue does not know.
   * Only while nothing else writes to this database's journal. Returns the removed paths, below the journal directory.
   */
  removeStray(database: string, epoch: number, afterTxid: Txid): string[] {
    return KINDS.flatMap((kind) => {
      const isStray = (ref: SegmentRef) => ref.maxTxid > afterTxid;
      return this.#removeStrayOf(formatLevelPath({ database, epoch, kind }), isStray);
    });
  }

  /**
   * Removes what a crash left in one epoch between the two halves of a purge, or of a snapshot: files up to `throughTxid`,
   * the end of the journal, that the catalogue does not know. Under the same condition; returns the removed paths.
   */
  removeUncatalogued(database: string, epoch: number, throughTxid: Txid): string[] {
    return KINDS.flatMap((kind) => {
      const isStray = (ref: SegmentRef) => ref.maxTxid <= throughTxid;
      return this.#removeStrayOf(formatLevelPath({ database, epoch, kind }), isStray);
    });
  }

  #removeStrayOf(level: string, isStray: (ref: SegmentRef) => boolean): string[] {
    const directory = join(this.directory, level);
    const strays = fileNames(directory)
      .map((name) => ({ name, path: `${level}/${name}` }))
      .filter(({ name, path }) => isPartName(name) || this.#isUnknown(path, isStray))
      .map(({ path }) => path);
    for (const path of strays) removeFile(join(this.directory, path));
    if (strays.length > 0) fsyncDirectory(directory);
    return strays;
  }

  /** Whether it is such a segment, and without a row. Files that are no segments are not ours to remove. */
  #isUnknown(path: string, isStray: (ref: SegmentRef) => boolean): boolean {
    const ref = parseSegmentPath(path);
    return ref !== null && isStray(ref) && this.#catalogue.get(ref) === null && !this.#endMarks.isMark(ref);
  }
}

function fileNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw journalError(error, "list journal directory", directory);
  }
}

async function kindOf(path: string): Promise<"missing" | "file" | "not a regular file"> {
  try {
    return (await lstat(path)).isFile() ? "file" : "not a regular file";
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return "missing";
    throw error;
  }
}

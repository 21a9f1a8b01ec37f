/**
 * The end mark: an empty segment without checksums, one transaction beyond the journal's end, beside the segments.
 *
 * Litestream's restore merges all files of a replica into one that has no database checksum, and refuses to do so when the
 * last of them has one (measured with its release 0.5.16; those from 0.5.0 on have the same code). Ours all have; with the
 * mark as the last file `litestream restore` works on the directory. It is no part of the journal: the catalogue does not
 * know it, it is never shipped, and the next segment replaces it, often under the very same name. Losing it loses nothing.
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { removeFile } from "../durable-files.ts";
import { errnoOf } from "../errno.ts";
import { decodeHeader, HEADER_FLAG_NO_CHECKSUM, HEADER_SIZE, type SegmentHeader } from "../ltx/header.ts";
import { NO_CHECKSUM, toTxid } from "../ltx/position.ts";
import { SegmentEncoder } from "../ltx/segment-encoder.ts";
import { SegmentError } from "../ltx/segment-error.ts";
import { FileSource } from "./file-source.ts";
import type { SegmentCatalogue } from "./segment-catalogue.ts";
import { formatSegmentPath, type SegmentRef } from "./segment-name.ts";

/** Keeps the end marks of a journal directory. */
export class EndMarks {
  readonly #directory: string;
  readonly #catalogue: SegmentCatalogue;
  /** By database: the mark that was written last. */
  readonly #marks = new Map<string, SegmentRef>();

  constructor(directory: string, catalogue: SegmentCatalogue) {
    this.#directory = directory;
    this.#catalogue = catalogue;
  }

  /** Moves a database's mark to the end of its journal. Without a journal, or when its last file cannot be read, there is none. */
  move(database: string): void {
    const last = this.#catalogue.last(database);
    const header = last === null ? null : readHeader(this.#path(last));
    if (last === null || header === null) return;
    const txid = toTxid(last.maxTxid + 1n);
    const mark: SegmentRef = { database, epoch: last.epoch, kind: "segment", minTxid: txid, maxTxid: txid };
    const path = this.#path(mark);
    const part = join(dirname(path), `.${basename(path)}.part`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(part, encodeMark(header, mark));
    renameSync(part, path);
    const former = this.#marks.get(database);
    this.#marks.set(database, mark);
    if (former === undefined || former.maxTxid === txid) return;
    // A segment of one transaction takes the very name of the mark before it: then that file is the journal's now.
    if (this.#catalogue.get(former) === null) removeFile(this.#path(former));
  }

  /** Whether this is where a mark is now. */
  isMark(ref: SegmentRef): boolean {
    const mark = this.#marks.get(ref.database);
    return mark !== undefined && formatSegmentPath(mark) === formatSegmentPath(ref);
  }

  #path(ref: SegmentRef): string {
    return join(this.#directory, formatSegmentPath(ref));
  }
}

/** Null when the file is missing or damaged: that is for `verify` to say, and no reason not to start. */
function readHeader(path: string): SegmentHeader | null {
  try {
    using source = new FileSource(path);
    const bytes = new Uint8Array(HEADER_SIZE);
    source.read(bytes, 0);
    return decodeHeader(bytes);
  } catch (error) {
    if (error instanceof SegmentError || errnoOf(error) === "ENOENT") return null;
    throw error;
  }
}

function encodeMark(last: SegmentHeader, mark: SegmentRef): Uint8Array {
  const parts: Uint8Array[] = [];
  const header: SegmentHeader = {
    ...last,
    flags: HEADER_FLAG_NO_CHECKSUM,
    minTxid: mark.minTxid,
    maxTxid: mark.maxTxid,
    preApplyChecksum: NO_CHECKSUM,
  };
  const encoder = new SegmentEncoder({ write: (bytes) => parts.push(bytes.slice()) }, header);
  encoder.finish(NO_CHECKSUM);
  return Buffer.concat(parts);
}

/** What the lost member had cut and not shipped: the segments of its journal that go on where the mirror's journal ends. */
import { join, posix } from "node:path";
import type { Configuration } from "../config/configuration.ts";
import { AfterimageError } from "../errors.ts";
import { FileSource } from "../journal/file-source.ts";
import { formatLevelPath, parseSegmentName } from "../journal/segment-name.ts";
import { readHeader, tracksChecksums } from "../ltx/header.ts";
import type { Txid } from "../ltx/position.ts";
import { checkArrival } from "../member/arrival-check.ts";
import type { JournalEnd } from "./journal-end.ts";
import { copyWithRoom, type LostFiles } from "./lost-files.ts";

export interface UnshippedSource {
  readonly configuration: Configuration;
  readonly files: LostFiles;
  /** The lost member's journal directory. */
  readonly journal: string;
  readonly database: string;
  readonly epoch: number;
  /** An empty directory for copies. */
  readonly scratch: string;
}

export interface TakenSegment {
  /** The copy. */
  readonly path: string;
  readonly name: string;
  readonly minTxid: Txid;
  readonly maxTxid: Txid;
  readonly timestampMs: number;
  readonly pages: number;
}

interface Candidate {
  readonly name: string;
  readonly path: string;
  readonly minTxid: Txid;
  readonly maxTxid: Txid;
}

/**
 * Copies and verifies the segments after `end`, oldest first, and moves `end` on with each. `notes` gets a sentence for each
 * file that cannot be used; the WAL may still hold what such a file held.
 */
export async function takeUnshipped(
  source: UnshippedSource,
  end: JournalEnd,
  notes: string[],
): Promise<TakenSegment[]> {
  const segments = await listed(source, "segment");
  const snapshots = await listed(source, "snapshot");
  const taken: TakenSegment[] = [];
  for (;;) {
    const due = segments.filter(({ minTxid, maxTxid }) => minTxid <= end.txid + 1n && maxTxid > end.txid);
    const newest = snapshots.filter(({ maxTxid }) => maxTxid > end.txid).slice(-1);
    // A snapshot only where no segment leads on: also before the mirror's first.
    const next = await firstGood(source, end.position === null ? newest : [...due, ...newest], end, notes);
    if (next === null) return taken;
    await end.apply(next.path, source.epoch);
    taken.push(next);
  }
}

async function listed(
  { files, journal, database, epoch }: UnshippedSource,
  kind: "segment" | "snapshot",
): Promise<Candidate[]> {
  const directory = posix.join(journal, formatLevelPath({ database, epoch, kind }));
  const found: Candidate[] = [];
  for (const entry of await files.list(directory)) {
    const range = entry.kind === "file" ? parseSegmentName(entry.name) : null;
    if (range !== null) found.push({ name: entry.name, path: posix.join(directory, entry.name), ...range });
  }
  return found.sort((a, b) => Number(a.maxTxid - b.maxTxid));
}

/** The first candidate that passes the checks of a mirror's inbox. */
async function firstGood(
  { files, scratch, epoch, database, configuration }: UnshippedSource,
  candidates: readonly Candidate[],
  end: JournalEnd,
  notes: string[],
): Promise<TakenSegment | null> {
  for (const candidate of candidates) {
    const { name, minTxid, maxTxid } = candidate;
    const path = join(scratch, name);
    try {
      await copyWithRoom(files, candidate.path, path);
      if (!readsAsSegment(path)) continue;
      const arrival = { name, path, minTxid, maxTxid };
      const { header, pages } = await checkArrival({ configuration, epoch }, database, arrival, end);
      return { path, name, minTxid, maxTxid, timestampMs: header.timestampMs, pages };
    } catch (error) {
      if (!(error instanceof AfterimageError) || error.code === "SALVAGE_SPACE") throw error;
      notes.push(`${candidate.path} was not taken: ${error.message}`);
    }
  }
  return null;
}

/** The end mark behind a journal's last segment does not. */
function readsAsSegment(path: string): boolean {
  using source = new FileSource(path);
  return tracksChecksums(readHeader(source));
}

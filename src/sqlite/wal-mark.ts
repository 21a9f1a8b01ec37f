/**
 * How a database that only Afterimage writes is recognised: what the wal-index said after our last commit, and what the
 * file looked like after the last connection had closed. Both are plain JSON, kept by the caller beside its position.
 */
import { statSync } from "node:fs";
import { z } from "zod";
import { type Checksum, formatChecksum } from "../ltx/position.ts";
import type { WalIndexHeader } from "./wal-index.ts";

const uint32 = z.int().min(0).max(0xffff_ffff);
const walMark = z.object({
  salt1: uint32,
  salt2: uint32,
  /** Last frame of the commit; 0 when the WAL was empty. */
  frame: uint32,
  /** Database size in pages. */
  pageCount: uint32,
  /** WAL checksum at that frame. */
  checksum1: uint32,
  checksum2: uint32,
  /** The wal-index's transaction counter; starts again when SQLite rebuilds the wal-index. */
  change: uint32,
});

const nanoseconds = z.string().regex(/^\d+$/);
const closedSignature = z.object({
  inode: nanoseconds,
  /** Bytes. */
  size: nanoseconds,
  modifiedNs: nanoseconds,
  changedNs: nanoseconds,
  /** Database checksum, 16 hexadecimal digits: which state the file held. */
  checksum: z.string(),
});

/** What the wal-index says after a commit: enough to recognise that nobody else has committed since. */
export type WalMark = Readonly<z.infer<typeof walMark>>;

/** A database file without a WAL, as it was left. */
export type ClosedSignature = Readonly<z.infer<typeof closedSignature>>;

export function markOf(header: WalIndexHeader): WalMark {
  const { salt1, salt2, maxFrame: frame, pageCount, checksum1, checksum2, change } = header;
  return { salt1, salt2, frame, pageCount, checksum1, checksum2, change };
}

/** From what JSON.parse gave; null when it is not a mark. */
export function parseWalMark(value: unknown): WalMark | null {
  return walMark.safeParse(value).data ?? null;
}

/** From what JSON.parse gave; null when it is not a signature. */
export function parseClosedSignature(value: unknown): ClosedSignature | null {
  return closedSignature.safeParse(value).data ?? null;
}

/**
 * Whether the wal-index shows the commit that `mark` was made of. The transaction counter does not count while frames are
 * there: a recovery restarts it. An empty WAL is ours if counter, size and checksum stayed: emptying it changes the salts only.
 */
export function showsMark(header: WalIndexHeader, mark: WalMark): boolean {
  const sameChain =
    header.pageCount === mark.pageCount && header.checksum1 === mark.checksum1 && header.checksum2 === mark.checksum2;
  if (header.maxFrame === 0) return sameChain && header.change === mark.change;
  return sameChain && header.maxFrame === mark.frame && header.salt1 === mark.salt1 && header.salt2 === mark.salt2;
}

/** Whether SQLite built the wal-index from an empty WAL: it then knows nothing of the commits before. */
export function isRebuiltEmpty(header: WalIndexHeader): boolean {
  return header.maxFrame === 0 && header.pageCount === 0;
}

/** The file as it is now, holding the state with `checksum`; null when there is none. */
export function signatureOf(path: string, checksum: Checksum): ClosedSignature | null {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return null;
  return {
    inode: stat.ino.toString(),
    size: stat.size.toString(),
    modifiedNs: stat.mtimeNs.toString(),
    changedNs: stat.ctimeNs.toString(),
    checksum: formatChecksum(checksum),
  };
}

export function sameSignature(a: ClosedSignature | null, b: ClosedSignature | null): boolean {
  return (
    a !== null && b !== null && JSON.stringify(closedSignature.parse(a)) === JSON.stringify(closedSignature.parse(b))
  );
}

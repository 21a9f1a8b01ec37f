/**
 * The temporary files of uploads. A small file gets a new name at every attempt. A large one gets a name that is made of
 * its final name, its size and its ends, so that the next attempt, also of another process, goes on where a cut ended the
 * last one; the server's own clock says which temporary files nobody will go on with.
 */
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { posix } from "node:path";
import { isUniquePartName, uniquePartPath } from "../durable-files.ts";
import { readFully } from "../file-contents.ts";
import type { SftpSession } from "./sftp-session.ts";
import { WINDOW_BYTES } from "./sftp-transfer.ts";

/** A smaller file is within the last window, which is always sent again. */
const RESUMABLE_BYTES = 2 * WINDOW_BYTES;
/** Compared before an upload is gone on with, and part of a large file's temporary name. */
const SAMPLE_BYTES = 64 * 1024;
const STALE_PART_MS = 60 * 60 * 1000;

export interface Part {
  readonly path: string;
  /** Whether the next attempt finds it by its name. */
  readonly resumable: boolean;
}

/** A segment's end holds the checksum of all of it, so that its ends tell it from any other file of its size. */
export async function partOf(path: string, local: FileHandle, size: number): Promise<Part> {
  if (size < RESUMABLE_BYTES) return { path: uniquePartPath(path), resumable: false };
  const ends = Buffer.alloc(2 * SAMPLE_BYTES);
  await readFully(local, ends.subarray(0, SAMPLE_BYTES), 0);
  await readFully(local, ends.subarray(SAMPLE_BYTES), size - SAMPLE_BYTES);
  const hash = createHash("sha256")
    .update(`${posix.basename(path)} ${size} `)
    .update(ends)
    .digest("hex");
  const name = `.${posix.basename(path)}.${hash.slice(0, 16)}.${hash.slice(16, 24)}.part`;
  return { path: posix.join(posix.dirname(path), name), resumable: true };
}

/**
 * How many bytes of a resumable part need not be sent again: all that was certainly acknowledged, if the last of it is
 * what the local file has; 0 otherwise.
 */
export async function resumePoint(session: SftpSession, handle: Buffer, local: FileHandle): Promise<number> {
  const { size } = await session.fstat(handle);
  const point = size - WINDOW_BYTES;
  if (point < SAMPLE_BYTES) return 0;
  const there = Buffer.alloc(SAMPLE_BYTES);
  const here = Buffer.alloc(SAMPLE_BYTES);
  const countThere = await session.read(handle, there, point - SAMPLE_BYTES);
  const countHere = await readFully(local, here, point - SAMPLE_BYTES);
  return countThere === SAMPLE_BYTES && countHere === SAMPLE_BYTES && there.equals(here) ? point : 0;
}

/** Removes temporary files in a directory that are an hour older, by the server's clock, than `newest`, which is in it. */
export async function removeStaleParts(session: SftpSession, directory: string, newest: string): Promise<void> {
  const entries = await session.readDirectory(directory);
  const nowSeconds = entries.find(({ filename }) => filename === posix.basename(newest))?.attrs.mtime;
  if (nowSeconds === undefined) return;
  for (const { filename, attrs } of entries) {
    if (!isUniquePartName(filename) || (nowSeconds - attrs.mtime) * 1000 <= STALE_PART_MS) continue;
    await session.unlink(posix.join(directory, filename)).catch(() => undefined);
  }
}

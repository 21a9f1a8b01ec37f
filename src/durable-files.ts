/**
 * Files and directories that survive a power cut, and files that readers never see half-written.
 *
 * The order that makes a file durable: write under a temporary name, fsync the file, rename, fsync the directory. A
 * directory entry is not durable before its directory was synced, and neither is a new directory before its parent was.
 * The plain functions are synchronous; those that end in `Async` do not hold up the event loop.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  type WriteFileOptions,
  writeFileSync,
} from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { errnoOf } from "./errno.ts";

const PART_SUFFIX = ".part";

/** A new name beside `path` for a file that is still being written: `.<name>.<8 hex digits>.part`. */
export function uniquePartPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(4).toString("hex")}${PART_SUFFIX}`);
}

/** Whether a file name is a temporary one, that nobody but its writer may use: it starts with a dot and ends in `.part`. */
export function isPartName(name: string): boolean {
  return name.startsWith(".") && name.endsWith(PART_SUFFIX);
}

/** Whether a file name is one that {@link uniquePartPath} makes. */
export function isUniquePartName(name: string): boolean {
  return /^\..+\.[0-9a-f]{8}\.part$/.test(name);
}

/** Makes the entries of a directory durable. */
export function fsyncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** {@link fsyncDirectory} that does not block. */
export async function fsyncDirectoryAsync(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a file's contents durable; its name is its directory's matter. */
export async function fsyncFileAsync(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a directory and the missing ones above it, each of them durable. */
export function makeDirectory(path: string): void {
  const target = resolve(path);
  const first = mkdirSync(target, { recursive: true });
  if (first !== undefined) for (const parent of parentsOfNew(first, target)) fsyncDirectory(parent);
}

/** {@link makeDirectory} for its owner alone. One that is there is left as it is. */
export function makePrivateDirectory(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(resolve(path));
  makeDirectory(parent);
  mkdirSync(path, { mode: 0o700 });
  fsyncDirectory(parent);
}

/** {@link makeDirectory} that does not block. */
export async function makeDirectoryAsync(path: string): Promise<void> {
  const target = resolve(path);
  const first = await mkdir(target, { recursive: true });
  if (first !== undefined) for (const parent of parentsOfNew(first, target)) await fsyncDirectoryAsync(parent);
}

/** Replaces `path` by `bytes`: readers see the old file or the new one, and once this returns a power cut leaves the new. */
export function writeFileDurably(path: string, bytes: Uint8Array | string): void {
  replaceFile(path, bytes, { flush: true });
  fsyncDirectory(dirname(path));
}

/**
 * Replaces `path` by `bytes`: readers see the old file or the new one. Nothing is synced, so after a power cut the file may
 * be the old one, or empty: for what is soon written again, such as heartbeats.
 */
export function writeFileAtomically(path: string, bytes: Uint8Array | string): void {
  replaceFile(path, bytes, { flush: false });
}

/** Removes a file; returns false when there was none. */
export function removeFile(path: string): boolean {
  try {
    rmSync(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}

function replaceFile(path: string, bytes: Uint8Array | string, options: WriteFileOptions): void {
  const part = uniquePartPath(path);
  try {
    writeFileSync(part, bytes, options);
    renameSync(part, path);
  } catch (error) {
    removeFile(part);
    throw error;
  }
}

/** The directories that got a new entry when `first` and all below it, down to `last`, were made. */
function parentsOfNew(first: string, last: string): string[] {
  const parents: string[] = [];
  for (let made = last; made.length >= first.length; made = dirname(made)) parents.push(dirname(made));
  return parents;
}

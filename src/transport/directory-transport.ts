/**
 * A mailbox in a directory that this machine can write: on the same machine, or a network file system.
 *
 * Guarantee: what the Transport interface says, also when this process is killed or the power fails. A name is taken with
 * link(2), which never replaces, so that of two puts with different contents one fails; where a file system has no hard
 * links, rename(2) after a look is used instead, and the last one wins. The root is never made: when it is gone, so is the file
 * system it was on. It cannot be told that only the mount below an existing root is gone: let the URL name a directory
 * inside the mounted file system.
 */
import { constants } from "node:fs";
import { type FileHandle, link, mkdir, open, readdir, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { fsyncDirectoryAsync, fsyncFileAsync, isUniquePartName, uniquePartPath } from "../durable-files.ts";
import { errnoOf } from "../errno.ts";
import { copyContents, openForReading, readFully, sameFileContents } from "../file-contents.ts";
import { lstatOrNull } from "../lstat-or-null.ts";
import { localError, targetError } from "./file-system-error.ts";
import { readSmall } from "./read-small.ts";
import type { ReadLimits, TransferOptions, Transport, TransportEntry } from "./transport.ts";
import { TransportError } from "./transport-error.ts";
import { splitDirectoryName, splitName } from "./transport-name.ts";

/** A temporary file that nobody has written to for so long is what a killed process left. */
const STALE_PART_MS = 60 * 60 * 1000;

/** What link(2) answers on file systems without hard links. */
const NO_HARD_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

export class DirectoryTransport implements Transport {
  readonly #directory: string;
  readonly #nowMs: () => number;
  /** When each directory was last searched for stale temporary files. */
  readonly #cleanedAtMs = new Map<string, number>();
  #closed = false;

  constructor(directory: string, options: { nowMs?: () => number } = {}) {
    this.#directory = directory;
    this.#nowMs = options.nowMs ?? Date.now;
  }

  async put(localPath: string, name: string, options: TransferOptions = {}): Promise<"stored" | "present"> {
    const parts = splitName(name);
    return await this.#attempt("put", name, async () => {
      const path = await this.#pathToWrite(parts);
      const local = await openLocal(localPath);
      try {
        if ((await lstatOrNull(path)) !== null) return await confirmSame(localPath, path, options);
        const part = uniquePartPath(path);
        try {
          await writeDurably(part, (handle) => copyContents(local, handle, options.signal));
          options.signal?.throwIfAborted();
          if (!(await takeName(part, path))) return await confirmSame(localPath, path, options);
        } finally {
          await rm(part, { force: true });
        }
        await fsyncDirectoryAsync(dirname(path));
        return "stored";
      } finally {
        await local.close();
      }
    });
  }

  async read(name: string, limits: ReadLimits): Promise<Uint8Array | null> {
    const parts = splitName(name);
    return await this.#attempt("read", name, async () => {
      const handle = await this.#openToRead(parts);
      if (handle === null) return null;
      try {
        const { size } = await handle.stat();
        const read = (target: Uint8Array, position: number) => readFully(handle, target, position);
        const bytes = await readSmall(read, size, limits);
        if (bytes !== null) return bytes;
      } finally {
        await handle.close();
      }
      throw new TransportError("FILE_TOO_LARGE", `${name} has more than ${limits.maxBytes} bytes`, {
        path: this.#directory,
        hint: "Look at the file: it is not what it should be.",
      });
    });
  }

  async get(name: string, localPath: string, options: TransferOptions = {}): Promise<number | null> {
    const parts = splitName(name);
    return await this.#attempt("get", name, async () => {
      const handle = await this.#openToRead(parts);
      if (handle === null) return null;
      const part = uniquePartPath(localPath);
      try {
        const bytes = await writeDurably(part, (local) => copyContents(handle, local, options.signal));
        await rename(part, localPath);
        await fsyncDirectoryAsync(dirname(localPath));
        return bytes;
      } catch (error) {
        throw localError(error, "write", localPath);
      } finally {
        await handle.close();
        await rm(part, { force: true });
      }
    });
  }

  async list(directory: string): Promise<TransportEntry[]> {
    const parts = splitDirectoryName(directory);
    return await this.#attempt("list", directory, async () => {
      const path = await this.#existingPath(parts);
      if (path === null) return [];
      const entries: TransportEntry[] = [];
      for (const name of (await readdir(path)).sort()) {
        if (name.startsWith(".")) continue;
        const found = await lstatOrNull(join(path, name));
        if (found?.isFile()) entries.push({ kind: "file", name, size: found.size, mtimeMs: found.mtimeMs });
        else if (found?.isDirectory()) entries.push({ kind: "directory", name, size: 0, mtimeMs: found.mtimeMs });
      }
      return entries;
    });
  }

  async remove(name: string): Promise<void> {
    const [...directory] = splitName(name);
    const last = directory.pop() ?? "";
    await this.#attempt("remove", name, async () => {
      const path = await this.#existingPath(directory);
      if (path !== null) await rm(join(path, last), { force: true });
    });
  }

  async publish(name: string, bytes: Uint8Array): Promise<void> {
    const parts = splitName(name);
    await this.#attempt("publish", name, async () => {
      const path = await this.#pathToWrite(parts);
      const part = uniquePartPath(path);
      try {
        await writeDurably(part, (handle) => handle.writeFile(bytes));
        await rename(part, path);
      } finally {
        await rm(part, { force: true });
      }
      await fsyncDirectoryAsync(dirname(path));
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async #attempt<T>(step: string, name: string, action: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new TransportError("CLOSED", `${step} ${name}: the transport is closed`);
    try {
      return await action();
    } catch (error) {
      throw targetError(error, `${step} ${name}`, this.#directory);
    }
  }

  /** The root without symbolic links: an operator may have made the mailbox one. */
  async #root(): Promise<string> {
    const root = await realpath(this.#directory);
    if (!(await stat(root)).isDirectory()) {
      throw new TransportError("TARGET_MISSING", "the mailbox is not a directory", { path: this.#directory });
    }
    return root;
  }

  /** Where a file of this name is to be written; makes the directories above it. */
  async #pathToWrite(parts: readonly string[]): Promise<string> {
    const directories = parts.slice(0, -1);
    const directory = (await this.#existingPath(directories)) ?? (await this.#makeDirectories(directories));
    await this.#removeStaleParts(directory);
    return join(directory, parts.at(-1) ?? "");
  }

  async #makeDirectories(parts: readonly string[]): Promise<string> {
    const root = await this.#root();
    let path = root;
    for (const part of parts) {
      const next = join(path, part);
      if (await makeOneDirectory(next)) await fsyncDirectoryAsync(path);
      path = inside(root, await realpath(next));
    }
    return path;
  }

  /** A name's path without symbolic links; null when there is nothing. Throws TARGET_OUTSIDE, TARGET_MISSING. */
  async #existingPath(parts: readonly string[]): Promise<string | null> {
    const root = await this.#root();
    try {
      return inside(root, await realpath(join(root, ...parts)));
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === "ENOENT" || errno === "ENOTDIR") return null;
      throw error;
    }
  }

  async #openToRead(parts: readonly string[]): Promise<FileHandle | null> {
    const path = await this.#existingPath(parts);
    if (path === null) return null;
    const handle = await openIfThere(path);
    if (handle === null || (await handle.stat()).isFile()) return handle;
    await handle.close();
    throw new TransportError("TARGET_FAILED", "not a regular file", { path });
  }

  async #removeStaleParts(directory: string): Promise<void> {
    const nowMs = this.#nowMs();
    if (nowMs - (this.#cleanedAtMs.get(directory) ?? Number.NEGATIVE_INFINITY) < STALE_PART_MS) return;
    this.#cleanedAtMs.set(directory, nowMs);
    for (const name of (await readdir(directory)).filter(isUniquePartName)) {
      const path = join(directory, name);
      const found = await lstatOrNull(path);
      if (found !== null && nowMs - found.mtimeMs > STALE_PART_MS) await rm(path, { force: true });
    }
  }
}

function inside(root: string, path: string): string {
  const prefix = root.endsWith(sep) ? root : root + sep;
  if (path === root || path.startsWith(prefix)) return path;
  throw new TransportError("TARGET_OUTSIDE", "a symbolic link leads out of the mailbox", {
    path,
    hint: "Remove the link from the mailbox: files are only written and read inside it.",
  });
}

/** False when there is something of that name already; what it is, is seen by the caller's realpath. */
async function makeOneDirectory(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}

async function openLocal(path: string): Promise<FileHandle> {
  try {
    return await openForReading(path);
  } catch (error) {
    throw localError(error, "read", path);
  }
}

async function openIfThere(path: string): Promise<FileHandle | null> {
  try {
    return await openForReading(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return null;
    throw error;
  }
}

/** Writes a new file and makes its contents durable. */
async function writeDurably<T>(path: string, write: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
  try {
    const result = await write(handle);
    await handle.sync();
    return result;
  } finally {
    await handle.close();
  }
}

/** Gives the file its final name unless that is taken; false when it is. The temporary name may stay. */
async function takeName(part: string, path: string): Promise<boolean> {
  try {
    await link(part, path);
    return true;
  } catch (error) {
    const errno = errnoOf(error) ?? "";
    if (errno === "EEXIST") return false;
    if (!NO_HARD_LINKS.has(errno)) throw error;
    if ((await lstatOrNull(path)) !== null) return false;
    await rename(part, path);
    return true;
  }
}

/** An earlier put may have been cut short before its file was durable, so that is made sure of here. */
async function confirmSame(localPath: string, path: string, options: TransferOptions): Promise<"present"> {
  const isFile = (await lstatOrNull(path))?.isFile() ?? false;
  if (!isFile || !(await sameFileContents(localPath, path, options.signal))) {
    throw new TransportError("TARGET_DIFFERS", "another file of this name is in the mailbox", {
      path,
      hint: "Two members may have written this mailbox: run `afterimage whois-operational`.",
    });
  }
  await fsyncFileAsync(path);
  await fsyncDirectoryAsync(dirname(path));
  return "present";
}

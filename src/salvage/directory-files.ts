/**
 * The files of a lost machine in a directory: its disk, an image that is mounted, or a copy.
 *
 * Guarantee: nothing is read from outside of `boundary`. An absolute link on a mounted disk means a place on that disk, but
 * leads to this machine's own files.
 */
import { constants } from "node:fs";
import { copyFile, readdir, realpath, stat } from "node:fs/promises";
import { sep } from "node:path";
import { errnoOf, messageOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";
import type { FileStamp, LostEntry, LostFiles } from "./lost-files.ts";
import { SalvageError } from "./salvage-error.ts";

const MISSING = new Set<string | null>(["ENOENT", "ENOTDIR"]);

export class DirectoryFiles implements LostFiles {
  readonly #boundary: string;
  readonly #forbidden: readonly string[];

  /** @param forbidden files of this member's own, which cannot be a lost machine's. */
  constructor(boundary: string, forbidden: readonly string[]) {
    this.#boundary = boundary;
    this.#forbidden = forbidden;
  }

  async list(directory: string): Promise<LostEntry[]> {
    const real = await this.#resolve(directory);
    if (real === null) return [];
    return await readable(directory, [], async () => {
      const entries = await readdir(real, { withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile() || entry.isDirectory())
        .map((entry): LostEntry => ({ kind: entry.isFile() ? "file" : "directory", name: entry.name }));
    });
  }

  async stat(path: string): Promise<FileStamp | null> {
    const real = await this.#resolve(path);
    if (real === null) return null;
    return await readable(path, null, async () => {
      const found = await stat(real);
      return found.isFile() ? { size: found.size, mtimeMs: found.mtimeMs } : null;
    });
  }

  async copy(path: string, localPath: string): Promise<boolean> {
    const real = (await this.stat(path)) === null ? null : await this.#resolve(path);
    if (real === null) return false;
    return await readable(path, false, async () => {
      // Shares the blocks where the file system can.
      await copyFile(real, localPath, constants.COPYFILE_FICLONE);
      return true;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #resolve(path: string): Promise<string | null> {
    const real = await readable(path, null, () => realpath(path));
    if (real === null) return null;
    const boundary = await realpath(this.#boundary);
    if (real !== boundary && !real.startsWith(boundary.endsWith(sep) ? boundary : boundary + sep)) {
      throw new SalvageError("SALVAGE_OUTSIDE", `a link leads out of ${this.#boundary}, to ${real}`, {
        path,
        hint: "Give the directories that the links lead to on the lost disk, one run of the command for each.",
      });
    }
    await this.#refuseOwn(path, real);
    return real;
  }

  async #refuseOwn(path: string, real: string): Promise<void> {
    for (const own of this.#forbidden) {
      if (real !== (await readable(own, null, () => realpath(own)))) continue;
      throw new SalvageError("SALVAGE_FOREIGN", "this is a file of this very member, not of a lost one", {
        path,
        hint: "Give the place where the lost machine's disk is mounted, or a copy of its files.",
      });
    }
  }
}

async function readable<T>(path: string, missing: T, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof AfterimageError) throw error;
    if (MISSING.has(errnoOf(error))) return missing;
    throw new SalvageError("SALVAGE_UNREADABLE", `cannot be read: ${messageOf(error)}`, {
      path,
      cause: error,
      hint: "Check the permissions; from a failing disk make an image first, and salvage from that.",
    });
  }
}

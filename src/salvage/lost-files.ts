/** The files of a lost machine, wherever they are: listed and copied, never written. */
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { SalvageError } from "./salvage-error.ts";

export interface LostEntry {
  readonly kind: "file" | "directory";
  readonly name: string;
}

/** Enough to see that a file was written to. */
export interface FileStamp {
  readonly size: number;
  readonly mtimeMs: number;
}

/** Paths are absolute, with `/` between their parts. Every method may throw SalvageError SALVAGE_UNREADABLE, SALVAGE_OUTSIDE, or TransportError. */
export interface LostFiles extends AsyncDisposable {
  /** What is directly below a directory; empty when there is none of that name. */
  list(directory: string): Promise<LostEntry[]>;

  /** Null when there is no such file, or it is no regular file. */
  stat(path: string): Promise<FileStamp | null>;

  /** Copies a file to a local path, which it replaces; false when there is none. */
  copy(path: string, localPath: string): Promise<boolean>;
}

/**
 * Copies a file if there is room for it; false when there is no such file.
 * @throws SalvageError SALVAGE_SPACE
 */
export async function copyWithRoom(files: LostFiles, path: string, localPath: string): Promise<boolean> {
  const stamp = await files.stat(path);
  if (stamp === null) return false;
  const { bavail, bsize } = await statfs(dirname(localPath));
  if (stamp.size > bavail * bsize) {
    throw new SalvageError(
      "SALVAGE_SPACE",
      `${path} has ${stamp.size} bytes, and ${bavail * bsize} are free for its copy`,
      {
        path: dirname(localPath),
        hint: "Free some space there. With --no-proof only segments and the WAL are copied, not the database.",
      },
    );
  }
  return await files.copy(path, localPath);
}

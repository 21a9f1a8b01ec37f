import { copyFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { fsyncDirectoryAsync, fsyncFileAsync, uniquePartPath } from "./durable-files.ts";
import { errnoOf } from "./errno.ts";

/**
 * Moves a file to `path`, replacing what is there, also to another file system. Its contents are durable then; the name is
 * once the caller has synced the directory.
 */
export async function moveFile(source: string, path: string): Promise<void> {
  // Who wrote it may not have been able to sync it.
  await fsyncFileAsync(source);
  try {
    await rename(source, path);
  } catch (error) {
    if (errnoOf(error) !== "EXDEV") throw error;
    await copyDurably(source, path);
    await rm(source);
  }
}

async function copyDurably(source: string, path: string): Promise<void> {
  const part = uniquePartPath(path);
  try {
    await copyFile(source, part);
    await fsyncFileAsync(part);
    await rename(part, path);
    await fsyncDirectoryAsync(dirname(path));
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

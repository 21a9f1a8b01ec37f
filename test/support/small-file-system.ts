/** A file system of a given size, to fill or to make read-only. */
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { onTestFinished } from "vitest";
import { errnoOf } from "../../src/errno.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

export interface SmallFileSystem {
  readonly path: string;
  makeReadOnly(): void;
  /** Gives it another size. */
  resize(bytes: number): void;
}

/**
 * Mounts one until the running test has finished; null where this user may not mount, which is said on standard error.
 * @param path the directory to mount it on; a temporary one when not given.
 */
export function mountSmallFileSystem(bytes: number, path = temporaryDirectory()): SmallFileSystem | null {
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", path], { encoding: "utf8" });
  if (mounted.status !== 0) {
    process.stderr.write(`not tried, because only root may mount: ${mounted.stderr ?? mounted.error?.message}\n`);
    return null;
  }
  onTestFinished(() => {
    execFileSync("umount", [path]);
  });
  return {
    path,
    makeReadOnly: () => {
      execFileSync("mount", ["-o", "remount,ro", path]);
    },
    resize: (size) => {
      execFileSync("mount", ["-o", `remount,size=${size}`, path]);
    },
  };
}

/** Writes to a file until nothing fits any more, not even a byte. */
export function fillFileSystem(path: string): void {
  const fd = openSync(path, "a");
  try {
    for (let size = 1024 * 1024; size >= 1; ) {
      try {
        writeSync(fd, new Uint8Array(size));
      } catch (error) {
        if (errnoOf(error) !== "ENOSPC") throw error;
        size = Math.floor(size / 2);
      }
    }
  } finally {
    closeSync(fd);
  }
}

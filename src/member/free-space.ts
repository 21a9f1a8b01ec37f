import { statfsSync } from "node:fs";
import type { JournalConfiguration } from "../config/configuration.ts";
import { MemberError } from "./member-error.ts";

const DEFAULT_MIN_FREE_BYTES = 2 ** 30;
const DEFAULT_MIN_FREE_SHARE = 0.05;

export interface FreeSpace {
  /** Bytes that this user may still write on the file system. */
  readonly free: number;
  /** Bytes of them that must stay free. */
  readonly least: number;
}

/** What is free on the file system of `path`, which exists, and what `journal.minFree` leaves free there. */
export function freeSpace(path: string, { minFreeBytes }: Pick<JournalConfiguration, "minFreeBytes">): FreeSpace {
  const { bavail, bsize, blocks } = statfsSync(path);
  const share = Math.floor(DEFAULT_MIN_FREE_SHARE * blocks * bsize);
  return { free: bavail * bsize, least: minFreeBytes ?? Math.min(DEFAULT_MIN_FREE_BYTES, share) };
}

/**
 * Whether `bytes` more may be written there. @throws MemberError DISK_LOW
 * @param what that would be written, for the message.
 */
export function assertFree(
  path: string,
  configuration: Pick<JournalConfiguration, "minFreeBytes">,
  { bytes, what }: { bytes: number; what: string },
): void {
  const { free, least } = freeSpace(path, configuration);
  if (free - bytes >= least) return;
  throw new MemberError("DISK_LOW", `${free} bytes are free for ${what}, ${least + bytes} are needed`, {
    path,
    hint: "Free some space on that file system; work goes on by itself, and nothing is lost meanwhile.",
  });
}

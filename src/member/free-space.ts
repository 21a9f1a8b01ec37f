import { statfsSync } from "node:fs";
import type { JournalConfiguration } from "../config/configuration.ts";

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

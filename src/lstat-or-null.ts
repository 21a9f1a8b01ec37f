import type { Stats } from "node:fs";
import { lstat } from "node:fs/promises";
import { errnoOf } from "./errno.ts";

/** What is at `path`, links not followed; null when there is nothing, as when an entry goes between a listing and the look. */
export async function lstatOrNull(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return null;
    throw error;
  }
}

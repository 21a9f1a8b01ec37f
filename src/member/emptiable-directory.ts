/**
 * A directory that is looked into again and again and is mostly empty, such as an inbox. While its time of change says
 * that it is as empty as it was, it is not read: a daemon may look into hundreds of them.
 */
import { type Dirent, statSync } from "node:fs";
import { readdir } from "node:fs/promises";

/** Only a time that is this old tells a later change from the one that it is of. */
const SETTLED_MS = 2_000;
/** What the time of change has not told, on a file system that does not keep it, is found after so long. */
const LONGEST_TRUST_MS = 30_000;

export class EmptiableDirectory {
  readonly path: string;
  readonly #nowMs: () => number;
  /** Time of change, in nanoseconds, at which it was seen to be empty; null when it must be read. */
  #emptySince: bigint | null = null;
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(path: string, nowMs: () => number) {
    this.path = path;
    this.#nowMs = nowMs;
  }

  /** What is in it now. Throws as `fs.readdir` does. */
  async entries(): Promise<Dirent[]> {
    const nowMs = this.#nowMs();
    const { mtimeNs } = statSync(this.path, { bigint: true });
    if (mtimeNs === this.#emptySince && nowMs - this.#readAtMs < LONGEST_TRUST_MS) return [];
    const entries = await readdir(this.path, { withFileTypes: true });
    const isSettled = nowMs - Number(mtimeNs / 1_000_000n) >= SETTLED_MS;
    this.#emptySince = entries.length === 0 && isSettled ? mtimeNs : null;
    this.#readAtMs = nowMs;
    return entries;
  }
}

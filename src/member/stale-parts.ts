/**
 * Temporary files that senders left in an inbox. Who ships again into the same directory removes those of an hour ago
 * itself (src/transport); this is for what remains when nobody does.
 *
 * A sender goes on with a large file that was cut off, whenever it comes back: such a file is kept for as long as its
 * segment may still be wanted, but not beyond the time after which an upstream gives a follower up.
 */
import { type Dirent, lstatSync } from "node:fs";
import { join } from "node:path";
import { isPartName, removeFile } from "../durable-files.ts";
import { parseSegmentName } from "../journal/segment-name.ts";
import type { Position } from "../ltx/position.ts";
import type { MemberContext } from "./member-context.ts";

const STALE_MS = 24 * 3_600_000;
const INTERVAL_MS = 3_600_000;

export class StaleParts {
  readonly #context: MemberContext;
  readonly #directory: string;
  #cleanedAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: MemberContext, directory: string) {
    this.#context = context;
    this.#directory = directory;
  }

  /** Removes what is stale among the entries, once an hour at most. @param received the end of the journal. */
  clean(entries: readonly Dirent[], received: Position | null): void {
    const nowMs = this.#context.nowMs();
    if (nowMs - this.#cleanedAtMs < INTERVAL_MS) return;
    const parts = entries.filter((entry) => entry.isFile() && isPartName(entry.name));
    if (parts.length === 0) return;
    this.#cleanedAtMs = nowMs;
    for (const { name } of parts) {
      const path = join(this.#directory, name);
      const ageMs = nowMs - (lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? nowMs);
      const keepMs = isWanted(name, received) ? this.#context.configuration.journal.giveUpAfterMs : 0;
      if (ageMs < Math.max(STALE_MS, keepMs) || !removeFile(path)) continue;
      this.#context.logger.info({ path, ageMs }, "a temporary file that nobody goes on with was removed");
    }
  }
}

/** Whether the segment that it is part of has not been received. */
function isWanted(partName: string, received: Position | null): boolean {
  const segment = parseSegmentName(/^\.(.+?\.ltx)\./.exec(partName)?.[1] ?? "");
  return segment !== null && segment.maxTxid > (received?.txid ?? 0n);
}

/** What lies in the inbox of a mailbox, below one directory for each database and epoch. */
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../errno.ts";
import { formatEpoch, parseEpoch, parseSegmentName } from "../journal/segment-name.ts";
import type { Txid } from "../ltx/position.ts";

/** Below a mailbox. */
export const INBOX = "inbox";

/** Names in a directory; none when it is not there. */
export function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return [];
    throw error;
  }
}

/** The text of a small file that others write; null when there is none, or what is there is larger, no file, or a link. */
export function readSmallFile(path: string, maxBytes: number): string | null {
  const descriptor = openIfThere(path);
  if (descriptor === null) return null;
  try {
    const stats = fstatSync(descriptor);
    return stats.isFile() && stats.size <= maxBytes ? readFileSync(descriptor, "utf8") : null;
  } finally {
    closeSync(descriptor);
  }
}

function openIfThere(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ELOOP") return null;
    throw error;
  }
}

/** The snapshots of a database in a mailbox by their names, of any epoch. */
export function arrivedSnapshots(mailbox: string, database: string): { epoch: number; txid: Txid }[] {
  const directory = join(mailbox, INBOX, database);
  const epochs = entriesOf(directory).map(parseEpoch);
  return epochs.flatMap((epoch) => {
    if (epoch === null) return [];
    return entriesOf(join(directory, formatEpoch(epoch))).flatMap((name) => {
      const range = parseSegmentName(name);
      return range?.minTxid === 1n ? [{ epoch, txid: range.maxTxid }] : [];
    });
  });
}

/** Puts salvaged segments where a mirror's segments arrive. */
import { join } from "node:path";
import { fsyncDirectoryAsync, makeDirectoryAsync } from "../durable-files.ts";
import { inboxDirectory } from "../member/inbox-directory.ts";
import { moveFile } from "../move-file.ts";
import type { TakenSegment } from "./unshipped-segments.ts";

/** Moves segments into this member's own inbox, oldest first; they are durable there when this resolves. */
export async function deliver(
  segments: readonly TakenSegment[],
  mailbox: string,
  { database, epoch }: { database: string; epoch: number },
): Promise<void> {
  const inbox = join(mailbox, inboxDirectory(database, epoch));
  await makeDirectoryAsync(inbox);
  for (const { path, name } of segments) await moveFile(path, join(inbox, name));
  await fsyncDirectoryAsync(inbox);
}

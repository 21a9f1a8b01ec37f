/** Where in a mailbox the segments of a database arrive. */
import { rmdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { errnoOf } from "../errno.ts";
import { formatEpoch } from "../journal/segment-name.ts";
import { formatTxid, parseTxid, type Txid } from "../ltx/position.ts";
import { entriesOf, INBOX } from "./inbox-entries.ts";
import { arrivalEpoch } from "./journal-epochs.ts";
import type { MemberContext } from "./member-context.ts";

const DIFFERENCE_NAME = /^([0-9a-f]{16})\.resync-([0-9a-f]{16})\.ltx$/;

export interface DifferenceName {
  readonly maxTxid: Txid;
  /** 16 hexadecimal digits. */
  readonly id: string;
}

/** Below a mailbox, with slashes. */
export function inboxDirectory(database: string, epoch: number): string {
  return `${INBOX}/${database}/${formatEpoch(epoch)}`;
}

/** The answer to a request for a difference, whose ID it names: `<last transaction>.resync-<id>.ltx`. */
export function formatDifferenceName({ maxTxid, id }: DifferenceName): string {
  return `${formatTxid(maxTxid)}.resync-${id}.ltx`;
}

/** The inverse of {@link formatDifferenceName}; null for any other name. */
export function parseDifferenceName(name: string): DifferenceName | null {
  const [, txid = "", id = ""] = DIFFERENCE_NAME.exec(name) ?? [];
  const maxTxid = parseTxid(txid);
  return maxTxid === null ? null : { maxTxid, id };
}

/** In this member's own mailbox. */
export function ownInbox(context: MemberContext, database: string): string {
  return join(context.self.directory, inboxDirectory(database, arrivalEpoch(context, database)));
}

/** The databases that this member's mailbox has directories for, whoever made them. */
export function inboxNames({ self }: MemberContext): string[] {
  return entriesOf(join(self.directory, INBOX));
}

/** Whether no file waits there; one that is still being written does not count. */
export function isEmptyInbox(context: MemberContext, database: string): boolean {
  return entriesOf(ownInbox(context, database)).every((name) => name.startsWith("."));
}

/** Removes the directory if nothing is in it; who ships makes it again. */
export function removeEmptyInbox(context: MemberContext, database: string): void {
  const directory = ownInbox(context, database);
  try {
    rmdirSync(directory);
    rmdirSync(dirname(directory));
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY", "EEXIST"].includes(errnoOf(error) ?? "")) throw error;
  }
}

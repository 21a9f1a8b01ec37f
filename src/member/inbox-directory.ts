/** Where in a mailbox the segments of a database arrive. */
import { readdirSync, rmdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { errnoOf } from "../errno.ts";
import { formatEpoch } from "../journal/segment-name.ts";
import type { MemberContext } from "./member-context.ts";

const INBOX = "inbox";

/** Below a mailbox, with slashes. */
export function inboxDirectory(database: string, epoch: number): string {
  return `${INBOX}/${database}/${formatEpoch(epoch)}`;
}

/** In this member's own mailbox. */
export function ownInbox({ self, epoch }: MemberContext, database: string): string {
  return join(self.directory, inboxDirectory(database, epoch));
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

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return [];
    throw error;
  }
}

/**
 * What another member may touch in a mailbox, by name alone.
 *
 * Readable: `status.json`, and everything below `resync` and `inbox`. Writable: only below `inbox`, and a file is written only under a
 * temporary name and then linked or renamed, so that nobody can put half a file where the integrator looks. All else is as if it did
 * not exist.
 */
import { posix } from "node:path";
import { isPartName } from "../durable-files.ts";

export const INBOX = "inbox";
/** Page checksums that this member asks its upstream to compare. */
const RESYNC = "resync";
const STATUS_FILE = "status.json";

const MAX_DEPTH = 16;
const MAX_PATH_BYTES = 2048;
/** The limit of common file systems. */
const MAX_NAME_BYTES = 255;

/** A name in the mailbox, from its root; empty for the root itself. */
export type MailboxName = readonly string[];

/**
 * The name that a client's path means; null when it is none, or lies elsewhere.
 * @param mountedAt the path under which clients see the mailbox.
 */
export function nameOfPath(path: string, mountedAt: string): MailboxName | null {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return null;
  const absolute = posix.resolve(mountedAt, path);
  const inside = posix.relative(mountedAt, absolute);
  const name = inside === "" ? [] : inside.split("/");
  return name.length <= MAX_DEPTH && name.every(isUsable) ? name : null;
}

function isUsable(part: string): boolean {
  if (part.startsWith(".") && !isPartName(part)) return false;
  return !/[\p{Cc}\\]/u.test(part) && Buffer.byteLength(part) <= MAX_NAME_BYTES;
}

/** Whether it may be looked at, listed and read. */
export function mayRead(name: MailboxName): boolean {
  const [first] = name;
  return first === undefined || first === INBOX || first === RESYNC || (first === STATUS_FILE && name.length === 1);
}

/** Whether a directory of this name may be made. */
export function mayMakeDirectory(name: MailboxName): boolean {
  return name[0] === INBOX && !isTemporary(name);
}

/** Whether a file of this name may be opened for writing. */
export function mayWrite(name: MailboxName): boolean {
  return isInInbox(name) && isTemporary(name);
}

/** Whether a complete file may get this name. */
export function mayName(name: MailboxName): boolean {
  return isInInbox(name) && !isTemporary(name);
}

export function mayRemove(name: MailboxName): boolean {
  return isInInbox(name);
}

function isInInbox(name: MailboxName): boolean {
  return name[0] === INBOX && name.length > 1;
}

function isTemporary(name: MailboxName): boolean {
  return isPartName(name.at(-1) ?? "");
}

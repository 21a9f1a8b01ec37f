/**
 * Symbolic links in a mailbox lead this member's daemon to files that are none of a mailbox: what lies in an inbox is moved
 * and removed. Afterimage makes no links there, and an SFTP server that lets others make them should not.
 */
import { lstatSync } from "node:fs";
import { join, relative } from "node:path";
import { MemberError } from "./member-error.ts";

/**
 * The mailbox itself may be behind a link, nothing in it.
 * @param path in the mailbox; what is not there is no link.
 * @throws MemberError MAILBOX_LINK when it, or a directory between the mailbox and it, is a symbolic link.
 */
export function assertNoLinks(mailbox: string, path: string): void {
  const link = linkIn(mailbox, path);
  if (link === null) return;
  throw new MemberError("MAILBOX_LINK", "a symbolic link lies in the mailbox, and is not followed", {
    path: link,
    hint: "Find out who made it, and remove it. An sshd that serves a mailbox should refuse links: see docs/SECURITY.md.",
  });
}

/** The first link on the way from a mailbox to `path`; null when there is none. */
export function linkIn(mailbox: string, path: string): string | null {
  let place = mailbox;
  for (const part of relative(mailbox, path).split("/")) {
    place = join(place, part);
    const stats = lstatSync(place, { throwIfNoEntry: false });
    if (stats === undefined) return null;
    if (stats.isSymbolicLink()) return place;
  }
  return null;
}

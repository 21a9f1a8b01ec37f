import type { MemberConfiguration, SshConfiguration } from "../config/configuration.ts";
import { parseMailbox } from "../config/mailbox-url.ts";
import { DirectoryTransport } from "./directory-transport.ts";
import { SftpTransport } from "./sftp-transport.ts";
import type { Transport } from "./transport.ts";
import { TransportError } from "./transport-error.ts";

/** What must be known of a member to reach its mailbox. */
export type MailboxOwner = Pick<MemberConfiguration, "mailbox" | "hostKey" | "bandwidth">;

/**
 * The transport to a member's mailbox: `file:///directory` or `sftp://user@host:port/directory`. Nothing is connected or
 * checked before its first use.
 * @throws TransportError URL_INVALID.
 */
export function openTransport(member: MailboxOwner, ssh: SshConfiguration): Transport {
  const mailbox = parseMailbox(member.mailbox);
  if (typeof mailbox === "string") {
    // Error texts go to logs.
    const shown = member.mailbox.replace(/:[^:@/]*@/, ":***@");
    throw new TransportError("URL_INVALID", `not a mailbox URL: ${shown}`, { hint: `${mailbox}.` });
  }
  switch (mailbox.kind) {
    case "file":
      return new DirectoryTransport(mailbox.path);
    case "sftp":
      return new SftpTransport({ ...mailbox, hostKey: member.hostKey, bandwidth: member.bandwidth }, ssh);
  }
}

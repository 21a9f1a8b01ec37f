/** Mailboxes of a set behind the SFTP endpoints of its daemons, as sections of its configuration. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DemoSet, MailboxSections } from "../../src/demo/demo-set.ts";
import { fingerprint, freePort, generateKey } from "../transport/ssh-server.ts";

/** Keys of the configuration that some of the members shall have besides. */
type FurtherKeys = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A mailbox behind its own daemon's endpoint for each of these members; all members log in with one key. */
export async function sftpMailboxes(
  set: DemoSet,
  members: readonly string[],
  further: FurtherKeys = {},
): Promise<MailboxSections> {
  const keys = join(set.root, "keys");
  mkdirSync(keys);
  const identity = join(keys, "identity");
  generateKey(identity);
  const sections = new Map<string, object>();
  for (const member of members) {
    const port = await freePort();
    const hostKey = join(keys, member);
    generateKey(hostKey);
    sections.set(member, {
      mailbox: `sftp://mirror@127.0.0.1:${port}/srv/${member}`,
      directory: set.mailboxPath(member),
      hostKey: fingerprint(hostKey),
      listen: { address: "127.0.0.1", port, hostKey, authorizedKeys: [readFileSync(`${identity}.pub`, "utf8").trim()] },
      ...further[member],
    });
  }
  return { members: sections, ssh: { identity } };
}

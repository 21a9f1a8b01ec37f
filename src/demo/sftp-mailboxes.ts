/** Mailboxes of a set on one machine behind the SFTP endpoints of its daemons, with keys that are made for it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import ssh2 from "ssh2";
import { loadHostKey, newPrivateKey } from "../endpoint/host-key.ts";
import { fingerprintOf } from "../transport/ssh-host-key.ts";
import type { DemoSet, MailboxSections } from "./demo-set.ts";
import { freePorts } from "./free-ports.ts";

const ADDRESS = "127.0.0.1";
const PORT_ATTEMPTS = 5;

/** Resolves when the condition holds; rejects when a daemon has ended. */
type Until = (what: string, condition: () => boolean) => Promise<void>;

/**
 * Starts every daemon of a set with its mailbox behind its own endpoint, on free ports, and waits until all of them serve.
 * The host keys are pinned in the configuration.
 * @param choosePorts called again when another program has taken one of the ports before its daemon did.
 * @param reachedAt the port at which the others reach an endpoint that listens on the given one.
 */
export async function startSftpDaemons(
  set: DemoSet,
  until: Until,
  choosePorts = freePorts,
  reachedAt = (port: number) => port,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    set.configure(endpointMailboxes(set, await choosePorts(set.members.length), reachedAt));
    // Followers first: whoever ships then finds them listening.
    for (const { member } of set.members.toReversed()) set.startDaemon(member);
    try {
      return await until("every daemon serves", () =>
        set.members.every(({ member }) => set.status(member)?.reachable === true),
      );
    } catch (error) {
      const portTaken = set.fallenDaemons().some((daemon) => daemon.logTail().includes("LISTEN_FAILED"));
      if (!portTaken || attempt === PORT_ATTEMPTS) throw error;
      await set.stopDaemons();
    }
  }
}

/** Sections of the configuration that put each member's mailbox behind its daemon's endpoint, on the port of its place. */
export function endpointMailboxes(
  set: DemoSet,
  ports: readonly number[],
  reachedAt = (port: number) => port,
): MailboxSections {
  const identity = join(set.root, "identity");
  const authorizedKey = makeIdentity(identity);
  const members = set.members.map(({ member }, index): [string, object] => {
    const port = ports[index] ?? 0;
    const { key } = loadHostKey(null, set.statePath(member));
    const sections = {
      mailbox: `sftp://demo@${ADDRESS}:${reachedAt(port)}${pathToFileURL(set.mailboxPath(member)).pathname}`,
      hostKey: fingerprintOf(key.getPublicSSH()),
      listen: { address: ADDRESS, port, authorizedKeys: [authorizedKey] },
    };
    return [member, sections];
  });
  return { members: new Map(members), ssh: { identity } };
}

/** Writes a new private key; returns the public one as a line of `authorized_keys`. */
function makeIdentity(path: string): string {
  const privateKey = newPrivateKey();
  writeFileSync(path, privateKey, { mode: 0o600 });
  const parsed = ssh2.utils.parseKey(privateKey);
  if (parsed instanceof Error) throw parsed;
  return `${parsed.type} ${parsed.getPublicSSH().toString("base64")}`;
}

/** The host keys that `afterimage init` pins: asked for from the servers themselves, and shown to be compared. */
import { parseMailbox } from "../config/mailbox-url.ts";
import { fingerprintOf } from "../transport/ssh-host-key.ts";
import { shownHostKey, typeOfHostKey } from "../transport/ssh-shown-host-key.ts";
import { type InitFlags, mailboxOf, pairs, type SystemUser } from "./init-plan.ts";

export interface PinnedKey {
  readonly member: string;
  readonly host: string;
  readonly port: number;
  /** Such as `ssh-ed25519`. */
  readonly type: string;
  readonly fingerprint: string;
}

export interface UnpinnedMember {
  readonly member: string;
  readonly host: string;
  readonly port: number;
}

/** The members with mailboxes behind SSH for which no `--host-key` is given. */
export function unpinned(flags: InitFlags, user: SystemUser): UnpinnedMember[] {
  const given = pairs(flags.hostKey ?? [], "--host-key NAME=SHA256:...");
  return [...pairs(flags.member, "--member NAME=HOST or NAME=MAILBOX_URL")].flatMap(([member, address]) => {
    const mailbox = parseMailbox(mailboxOf(address, flags, user).mailbox);
    if (typeof mailbox === "string" || mailbox.kind === "file" || given.has(member)) return [];
    return [{ member, host: mailbox.host, port: mailbox.port }];
  });
}

/** @throws TransportError when the server cannot be asked. */
export async function askServer({ member, host, port }: UnpinnedMember): Promise<PinnedKey> {
  const { bytes } = await shownHostKey({ host, port, hostKey: null, knownHosts: null });
  return { member, host, port, type: typeOfHostKey(bytes), fingerprint: fingerprintOf(bytes) };
}

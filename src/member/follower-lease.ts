/** The lease of a follower's mailbox as a member holds it. */
import { MailboxLease } from "./mailbox-lease.ts";
import type { MemberContext } from "./member-context.ts";
import type { Peer } from "./peer.ts";

export function followerLease({ configuration, self, epoch, store, event }: MemberContext, peer: Peer): MailboxLease {
  const follower = peer.member.name;
  return new MailboxLease({
    owner: { mirror: configuration.mirror, member: self.name, epoch, instance: store.identity.stateId },
    follower,
    mailbox: () => peer.transport(),
    memory: {
      load: () => store.leaseSessions(follower),
      save: (sessions) => store.saveLeaseSessions(follower, sessions),
    },
    onTakeover: (from) => {
      const holder = from === null ? "somebody unknown" : `member ${from.member}`;
      const message = `this member now writes to ${follower}, where ${holder} did`;
      event("warn", "LEASE_TAKEN", null, message, { epoch: from?.epoch ?? null });
    },
  });
}

/** Which member is lost, and whether it is: what its own mailbox and the other members say. */
import { setTimeout as delay } from "node:timers/promises";
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import { originChecksum, parseNodeId } from "../ltx/node-id.ts";
import { Peer } from "../member/peer.ts";
import { peerStatus } from "../member/peer-status.ts";
import { SalvageError } from "./salvage-error.ts";

/** Two and a half heartbeats: a member that is silent for so long does not live, whatever the clocks say. */
export const WATCH_MS = 5_000;
const LOOK_MS = 250;

/** The member whose commits have this NodeID; null when it is of none that is configured. */
export function memberOf(configuration: Configuration, database: string, nodeId: bigint): string | null {
  const { mirror, members } = configuration;
  const wanted = parseNodeId(nodeId).originChecksum;
  const found = [...members.keys()].find((member) => originChecksum({ mirror, database, member }) === wanted);
  return found ?? null;
}

interface Watch {
  readonly configuration: Configuration;
  readonly self: MemberConfiguration;
  readonly lost: string;
  /** This mirror's epoch. */
  readonly epoch: number;
  readonly watchMs: number;
}

/**
 * Looks at every other member's status, and watches the lost one's heartbeat. A mailbox that cannot be read proves nothing,
 * and is what is expected of a lost machine.
 * @throws SalvageError SALVAGE_MEMBER_ALIVE; SALVAGE_EPOCH when a member is in a later epoch.
 */
export async function assertLost({ configuration, self, lost, epoch, watchMs }: Watch): Promise<void> {
  const others = [...configuration.members.values()].filter(({ name }) => name !== self.name);
  await Promise.all(
    others.map(async (member) => {
      const peer = new Peer(member, configuration.ssh, Date.now);
      try {
        const status = await peerStatus(peer, Date.now());
        if ((status.epoch ?? 0) > epoch) throw laterEpoch(member.name, status.epoch ?? 0, epoch);
        if (member.name === lost && (await movesWithin(peer, watchMs))) throw alive(lost);
      } finally {
        await peer.disconnect();
      }
    }),
  );
}

/** Whether the heartbeat moves; false at once when there was none to read, or it says itself that its daemon has stopped. */
async function movesWithin(peer: Peer, watchMs: number): Promise<boolean> {
  const untilMs = performance.now() + watchMs;
  for (;;) {
    if (peer.alive) return true;
    if (peer.status === null || peer.status.state === "down" || performance.now() > untilMs) return false;
    await delay(LOOK_MS);
    await peerStatus(peer, Date.now());
  }
}

function alive(member: string): SalvageError {
  return new SalvageError("SALVAGE_MEMBER_ALIVE", `${member} is alive: its status goes on`, {
    hint: "A WAL that is in use must not be salvaged. Use `afterimage switchover`, or stop that member and its applications first.",
  });
}

function laterEpoch(member: string, theirs: number, ours: number): SalvageError {
  return new SalvageError("SALVAGE_EPOCH", `${member} is in epoch ${theirs}, this mirror in epoch ${ours}`, {
    hint: "Another member has taken over: keep what the lost one alone has.",
  });
}

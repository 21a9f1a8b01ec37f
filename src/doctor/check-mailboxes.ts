/** The other members' mailboxes, as this member reaches them: login, status document, server, heartbeat, clock and the way back. */

import { type CheckResult, failed, ok, warning } from "../member/check-result.ts";
import { awaitHeartbeat, checkClock } from "../member/heartbeat-clock.ts";
import { Peer } from "../member/peer.ts";
import { SftpTransport } from "../transport/sftp-transport.ts";
import { pageSizes } from "./check-databases.ts";
import { checkPageSizes, checkWayBack } from "./check-peer-status.ts";
import type { Subject } from "./subject.ts";

export async function checkMailboxes({ configuration, member }: Subject): Promise<CheckResult[]> {
  const others = [...configuration.members.values()].filter(({ name }) => name !== member.name);
  const peers = others.map((other) => new Peer(other, configuration.ssh, Date.now));
  const here = pageSizes({ member });
  return (await Promise.all(peers.map((peer) => checkPeer(peer, { self: member.name, here })))).flat();
}

interface Here {
  readonly self: string;
  /** Page sizes of this member's databases. */
  readonly here: ReadonlyMap<string, number>;
}

async function checkPeer(peer: Peer, { self, here }: Here): Promise<CheckResult[]> {
  const { name, mailbox } = peer.member;
  const check = `mailbox of ${name}`;
  try {
    await peer.refresh();
    const server = await checkServer(peer);
    if (peer.status === null) {
      const hint = "Start its daemon; if it runs, check that the URL leads to that member's mailbox.";
      return [warning(check, `${mailbox} can be reached, and has no status document of ${name}`, hint), ...server];
    }
    const reached = ok(check, `${mailbox} can be reached, and its status document read`);
    const daemon = await checkHeartbeat(peer);
    const isAlive = daemon.some(({ level }) => level === "OK");
    const wayBack = isAlive ? checkWayBack(peer.status, self) : [];
    return [reached, ...server, ...daemon, ...wayBack, ...checkPageSizes(peer.status, here)];
  } catch (error) {
    return [failed(check, error)];
  } finally {
    await peer.disconnect();
  }
}

/** Nothing for a mailbox in a directory. */
async function checkServer(peer: Peer): Promise<CheckResult[]> {
  const transport = peer.transport();
  if (!(transport instanceof SftpTransport)) return [];
  const check = `SFTP server of ${peer.member.name}`;
  const results: CheckResult[] = [];
  const missing = await transport.missingExtensions();
  if (missing.length > 0) {
    const hint =
      "Afterimage does without, and proves less before a receipt comes; OpenSSH's server and its own have them all.";
    results.push(warning(check, `it lacks ${missing.join(", ")}`, hint));
  }
  if (await transport.seesMachine()) {
    const hint =
      "Give its account a ChrootDirectory, as config/sshd-mailbox.conf does, or let the daemon serve the mailbox (`listen`).";
    results.push(warning(check, "a key for the mailbox opens the machine's other files, too", hint));
  }
  return results.length > 0
    ? results
    : [ok(check, "it has every extension that Afterimage uses, and shows nothing else")];
}

/** Waits until the heartbeat moves: only then is it known when it was written. */
async function checkHeartbeat(peer: Peer): Promise<CheckResult[]> {
  const { name } = peer.member;
  const check = `daemon of ${name}`;
  const hint = `Start it: \`afterimage run --node ${name}\` on that machine.`;
  if (peer.status?.state === "down") return [warning(check, "it was stopped", hint)];
  const first = peer.status?.heartbeat ?? "none";
  const reading = await awaitHeartbeat(peer);
  if (reading === null) return [warning(check, `its heartbeat stands still at ${first}`, hint)];
  return [ok(check, "it runs"), checkClock(`clock of ${name}`, reading)];
}

/** The other members' mailboxes, as this member reaches them: login, status document, server, heartbeat and clock. */
import { setTimeout as delay } from "node:timers/promises";
import { Peer } from "../member/peer.ts";
import { SftpTransport } from "../transport/sftp-transport.ts";
import { type CheckResult, failed, ok, warning } from "./check-result.ts";
import type { Subject } from "./subject.ts";

/** A daemon's heartbeat moves every 2 s. */
const HEARTBEAT_WAIT_MS = 6_000;
const POLL_MS = 200;

export async function checkMailboxes({ configuration, member }: Subject): Promise<CheckResult[]> {
  const others = [...configuration.members.values()].filter(({ name }) => name !== member.name);
  const peers = others.map((other) => new Peer(other, configuration.ssh, Date.now));
  return (await Promise.all(peers.map(checkPeer))).flat();
}

async function checkPeer(peer: Peer): Promise<CheckResult[]> {
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
    return [reached, ...server, await checkHeartbeat(peer)];
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
  const missing = await transport.missingExtensions();
  if (missing.length === 0) return [ok(check, "it has every extension that Afterimage uses")];
  const hint =
    "Afterimage does without, and proves less before a receipt comes; OpenSSH's server and its own have them all.";
  return [warning(check, `it lacks ${missing.join(", ")}`, hint)];
}

/** Waits until the heartbeat moves: only then is it known when it was written. */
async function checkHeartbeat(peer: Peer): Promise<CheckResult> {
  const { name } = peer.member;
  const check = `daemon of ${name}`;
  const hint = `Start it: \`afterimage run --node ${name}\` on that machine.`;
  if (peer.status?.state === "down") return warning(check, "it was stopped", hint);
  const first = peer.status?.heartbeat ?? null;
  const untilMs = performance.now() + HEARTBEAT_WAIT_MS;
  while (performance.now() < untilMs) {
    const beforeMs = Date.now();
    await delay(POLL_MS);
    await peer.refresh();
    const heartbeat = peer.status?.heartbeat ?? null;
    if (heartbeat === null || heartbeat === first) continue;
    return ok(check, `it runs; ${clockDifference(Date.parse(heartbeat), beforeMs, Date.now())}`);
  }
  return warning(check, `its heartbeat stands still at ${first ?? "none"}`, hint);
}

/**
 * For information only: members never compare their clocks.
 * @param writtenMs by the other clock.
 * @param beforeMs a time before it was written, by this one.
 * @param afterMs a time after it was written, by this one.
 */
export function clockDifference(writtenMs: number, beforeMs: number, afterMs: number): string {
  const slackMs = (afterMs - beforeMs) / 2;
  const aheadMs = writtenMs - (beforeMs + afterMs) / 2;
  if (Math.abs(aheadMs) <= slackMs) return `its clock is the same as this one's, to ${seconds(slackMs)}`;
  const direction = aheadMs > 0 ? "ahead of" : "behind";
  return `its clock is ${seconds(Math.abs(aheadMs))} ${direction} this one, to ${seconds(slackMs)}`;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

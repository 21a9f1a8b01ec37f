/** What this member can say of another one, whether that one answers or not. */
import { type MemberStatus, STATUS_VERSION } from "../status/member-status.ts";
import type { Peer } from "./peer.ts";

export const READ_TIMEOUT_MS = 3_000;
/** For a command that looks only once, and so cannot see a heartbeat move: how old it may be by this machine's clock. */
const RECENT_MS = 10_000;

/** Reads the peer's status document into what is known of it. @returns whether that was done, and in time. */
export async function readStatus(peer: Peer): Promise<boolean> {
  return await withTimeout(peer.refresh(), READ_TIMEOUT_MS);
}

/** As {@link readStatus}; a connection by which it could not be read is given up. */
export async function readStatusOrHangUp(peer: Peer): Promise<boolean> {
  const isRead = await readStatus(peer);
  if (!isRead) await peer.disconnect().catch(() => undefined);
  return isRead;
}

/** Reads the peer's status now; what it said last is kept when it cannot be read, as `unknown` or `down`. */
export async function peerStatus(peer: Peer, nowMs: number): Promise<MemberStatus> {
  const readable = await readStatus(peer);
  const status = peer.status ?? emptyStatus(peer);
  if (!readable) return { ...status, reachable: false, state: "unknown" };
  const heartbeatMs = status.heartbeat === null ? Number.NaN : Date.parse(status.heartbeat);
  if (peer.alive || Math.abs(nowMs - heartbeatMs) < RECENT_MS) return { ...status, reachable: true };
  return { ...status, reachable: false, state: "down" };
}

/** Of a member that has said nothing yet. */
export function emptyStatus(peer: Peer): MemberStatus {
  return {
    version: STATUS_VERSION,
    mirror: "",
    member: peer.member.name,
    role: null,
    type: peer.member.type,
    state: "unknown",
    follows: null,
    epoch: null,
    heartbeat: null,
    reachable: false,
    databases: {},
    followers: {},
    errors: [],
    history: [],
    journal: null,
  };
}

/** Whether `work` was done, and in time. */
export async function withTimeout(work: Promise<void>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  const done = work.then(
    () => true,
    () => false,
  );
  try {
    return await Promise.race([done, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

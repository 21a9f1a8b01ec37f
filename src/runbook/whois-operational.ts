/**
 * Who is operational, when nobody may be running: from every state directory that is on this machine and every mailbox that
 * can be reached. Only reads.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import { messageOf } from "../errno.ts";
import { parseEpoch } from "../journal/segment-name.ts";
import { StateStore } from "../journal/state-store.ts";
import { INBOX } from "../member/inbox-entries.ts";
import { LEASE_FILE, LEASE_MAX_BYTES, parseLease } from "../member/lease-record.ts";
import { Peer } from "../member/peer.ts";
import { READ_TIMEOUT_MS, withTimeout } from "../member/peer-status.ts";
import { encodeEpoch } from "../roles/role-documents.ts";
import { knownEpoch, reigns } from "../roles/role-state.ts";
import type { Transport } from "../transport/transport.ts";
import { type ReignEvidence, type ReignVerdict, reignVerdict } from "./reign-verdict.ts";

export interface WhoisResult extends ReignVerdict {
  readonly mirror: string;
  readonly evidence: readonly ReignEvidence[];
  /** Members of whom neither state nor status could be read, and why. */
  readonly notAsked: readonly { readonly member: string; readonly reason: string }[];
}

interface Looked {
  readonly evidence: readonly ReignEvidence[];
  /** Null when the member's state or status was read. */
  readonly fault: string | null;
}

/** @param nowMs by this machine's clock, from which ages are counted. */
export async function whoisOperational(configuration: Configuration, nowMs: number): Promise<WhoisResult> {
  const members = [...configuration.members.values()];
  const looked = await Promise.all(members.map((member) => look(configuration, member, nowMs)));
  const evidence = looked.flatMap((each) => each.evidence);
  const notAsked = members.flatMap(({ name }, i) => {
    const reason = looked[i]?.fault ?? null;
    return reason === null ? [] : [{ member: name, reason }];
  });
  return { mirror: configuration.mirror, ...reignVerdict(evidence), evidence, notAsked };
}

async function look(configuration: Configuration, member: MemberConfiguration, nowMs: number): Promise<Looked> {
  const state = stateEvidence(configuration.mirror, member, nowMs);
  const mailbox = await mailboxEvidence(configuration, member, nowMs);
  const isAsked = state.fault === null || mailbox.fault === null;
  return {
    evidence: [...state.evidence, ...mailbox.evidence],
    fault: isAsked ? null : `${state.fault}; ${mailbox.fault}`,
  };
}

function stateEvidence(mirror: string, member: MemberConfiguration, nowMs: number): Looked {
  const path = join(member.state, "state.db");
  if (!existsSync(path)) return { evidence: [], fault: `${path} is not on this machine` };
  try {
    // Before SQLite opens it, which may touch the files beside it.
    const changedAtMs = Math.max(
      ...[path, `${path}-wal`].map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0),
    );
    using store = StateStore.openReadOnly(path);
    const { identity } = store;
    if (identity.mirror !== mirror || identity.member !== member.name)
      return { evidence: [], fault: `${path} is of member ${identity.member} of ${identity.mirror}` };
    const role = store.role();
    if (role === null) return { evidence: [], fault: `${path} knows of no role` };
    const { current, epochs } = store.history();
    const evidence: ReignEvidence = {
      source: "state",
      of: member.name,
      epoch: knownEpoch(role),
      operational: current?.member ?? null,
      reigned: reigns(role) ? role.epoch : null,
      demoted: role.role === "demoted",
      ...agedFrom(changedAtMs, nowMs),
      history: epochs.map(encodeEpoch),
    };
    return { evidence: [evidence], fault: null };
  } catch (error) {
    return { evidence: [], fault: `${path} cannot be read: ${messageOf(error)}` };
  }
}

async function mailboxEvidence(
  { mirror, ssh }: Configuration,
  member: MemberConfiguration,
  nowMs: number,
): Promise<Looked> {
  const peer = new Peer(member, ssh, () => nowMs);
  const evidence: ReignEvidence[] = [];
  let fault = "its mailbox did not answer in time";
  const work = async () => {
    try {
      await peer.refresh();
      const status = statusEvidence(peer, mirror, nowMs);
      if (status !== null) evidence.push(status);
      fault = "its mailbox has no status.json of it";
      evidence.push(...(await inboxEvidence(peer.transport(), member.name, { mirror, nowMs })));
    } catch (error) {
      fault = `its mailbox cannot be read: ${messageOf(error)}`;
    }
  };
  await withTimeout(work(), READ_TIMEOUT_MS);
  // What arrives too late is no longer listened to.
  const found = [...evidence];
  await withTimeout(peer.disconnect(), READ_TIMEOUT_MS);
  return { evidence: found, fault: found.some(({ source }) => source === "status") ? null : fault };
}

function statusEvidence({ status }: Peer, mirror: string, nowMs: number): ReignEvidence | null {
  if (status === null || status.mirror !== mirror || status.epoch === null) return null;
  const { member, role, state, epoch, heartbeat, history, errors } = status;
  return {
    source: "status",
    of: member,
    epoch,
    operational: history.at(-1)?.member ?? null,
    reigned: role === "operational" && state !== "fenced" ? epoch : null,
    demoted: errors.some(({ code }) => code === "DEMOTED"),
    ...agedFrom(heartbeat === null ? 0 : Date.parse(heartbeat), nowMs),
    history,
  };
}

/** What others have put there: the lease of who ships, and directories of epochs. */
async function inboxEvidence(
  transport: Transport,
  of: string,
  { mirror, nowMs }: { mirror: string; nowMs: number },
): Promise<ReignEvidence[]> {
  const bytes = await transport.read(LEASE_FILE, { maxBytes: LEASE_MAX_BYTES });
  const lease = bytes === null ? null : parseLease(Buffer.from(bytes).toString("utf8"));
  let newest = { epoch: lease?.mirror === mirror ? lease.epoch : 0, atMs: 0 };
  for (const entry of await transport.list(INBOX)) {
    if (entry.kind === "file" && `${INBOX}/${entry.name}` === LEASE_FILE) newest = { ...newest, atMs: entry.mtimeMs };
    if (entry.kind !== "directory") continue;
    for (const { kind, name, mtimeMs } of await transport.list(`${INBOX}/${entry.name}`)) {
      const epoch = kind === "directory" ? parseEpoch(name) : null;
      if (epoch !== null && epoch > newest.epoch) newest = { epoch, atMs: mtimeMs };
    }
  }
  if (newest.epoch === 0) return [];
  const { epoch, atMs } = newest;
  return [
    {
      source: "inbox",
      of,
      epoch,
      operational: null,
      reigned: null,
      demoted: false,
      ...agedFrom(atMs, nowMs),
      history: [],
    },
  ];
}

/** @param atMs 0 when not known. */
function agedFrom(atMs: number, nowMs: number): Pick<ReignEvidence, "observedAt" | "ageSeconds"> {
  if (atMs === 0) return { observedAt: null, ageSeconds: null };
  return { observedAt: new Date(atMs).toISOString(), ageSeconds: Math.max(0, Math.round((nowMs - atMs) / 1000)) };
}

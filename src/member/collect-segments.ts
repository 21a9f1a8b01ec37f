/**
 * Before a promotion: what other members have received and this one has not. Who lives is asked, by this member's status, and
 * ships it into this one's inbox as to a follower; what lies in the inbox of one that does not live is fetched from there.
 *
 * Guarantee: nothing gets into the journal but through this member's own inbox, with all of its checks.
 */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { removeFile, uniquePartPath } from "../durable-files.ts";
import { AfterimageError } from "../errors.ts";
import { parseSegmentName } from "../journal/segment-name.ts";
import { NO_TXID, type Position, type Txid } from "../ltx/position.ts";
import { parsePositionView } from "../status/member-status.ts";
import { TransportError } from "../transport/transport-error.ts";
import { inboxDirectory } from "./inbox-directory.ts";
import { readSmallFile } from "./inbox-entries.ts";
import { arrivalEpoch, isBeyond } from "./journal-epochs.ts";
import { LEASE_FILE, LEASE_MAX_BYTES, parseLease } from "./lease-record.ts";
import type { Member } from "./member.ts";
import { MemberError } from "./member-error.ts";
import type { Peer } from "./peer.ts";
import { READ_TIMEOUT_MS, readStatus, withTimeout } from "./peer-status.ts";

/** A member whose upstream is silent looks at this one every 3 s, and may first have to merge what it has. */
const STALLED_AFTER_MS = 20_000;
const LOOK_INTERVAL_MS = 250;
/** Two heartbeats. */
const LIFE_SIGN_MS = 5_000;

export interface Collected {
  readonly database: string;
  /** Who had it. */
  readonly from: string;
  readonly transactions: number;
}

/** A member that has received more of a database than this one. */
interface Ahead {
  readonly peer: Peer;
  readonly database: string;
  readonly transactions: bigint;
}

interface CollectOptions {
  /** Whether it is an error when somebody is still ahead at the end. */
  readonly mustHaveAll: boolean;
  /** Members that are not asked, and whose journal does not count. */
  readonly except: (peer: Peer) => boolean;
}

/**
 * Returns what was collected from whom. The peers' status must have been read.
 * @throws MemberError PROMOTION_BEHIND.
 */
export async function collectSegments(member: Member, options: CollectOptions): Promise<Collected[]> {
  const peers = [...member.peers.values()].filter((peer) => !options.except(peer));
  const collected: Collected[] = [];
  const from = async (peer: Peer, work: () => Promise<void>) => {
    const before = ends(member);
    await work();
    const gained = gains(member, before).map((gain) => ({ ...gain, from: peer.member.name }));
    if (gained.length === 0) return;
    collected.push(...gained);
    member.context.steps.done("promote:collected", gained.map(describeGain).join(", "));
  };
  await awaitLifeSigns(member, peers);
  for (const peer of peers.filter(({ alive }) => !alive)) await from(peer, () => fetchInbox(member, peer));
  const tried = new Set<Peer>();
  for (;;) {
    const next = aheadOf(member, peers).find(({ peer }) => peer.alive && !tried.has(peer));
    if (next === undefined || !member.running) break;
    tried.add(next.peer);
    await from(next.peer, () => ask(member, next));
  }
  const [left] = aheadOf(member, peers);
  if (left !== undefined && options.mustHaveAll) throw behind(member, left);
  return collected;
}

/** Only a heartbeat that moves shows that somebody lives. */
async function awaitLifeSigns(member: Member, peers: readonly Peer[]): Promise<void> {
  const untilMs = performance.now() + LIFE_SIGN_MS;
  for (;;) {
    const unknown = aheadOf(member, peers).filter(({ peer }) => !peer.alive);
    if (unknown.length === 0 || performance.now() >= untilMs) return;
    await Promise.all(unknown.map(({ peer }) => readStatus(peer)));
    await delay(LOOK_INTERVAL_MS);
  }
}

/** The first is the furthest. */
function aheadOf({ context }: Member, peers: readonly Peer[]): Ahead[] {
  const ahead = peers.flatMap((peer) =>
    [...context.databases.keys()].flatMap((database) => {
      const theirs = parsePositionView(peer.status?.databases[database]?.received ?? null);
      if (theirs === null || isBeyond(context, database, theirs)) return [];
      const transactions = theirs.txid - (context.store.database(database)?.received?.txid ?? NO_TXID);
      return transactions > 0n ? [{ peer, database, transactions }] : [];
    }),
  );
  return ahead.sort((a, b) => Number(b.transactions - a.transactions));
}

/** Waits for as long as something comes. */
async function ask(member: Member, { peer, database, transactions }: Ahead): Promise<void> {
  const { name } = peer.member;
  const message = `${name} has received ${transactions} transactions of ${database} more, and is asked for them`;
  member.context.steps.done("promote:collecting", message);
  giveMailboxFree(member, name);
  member.collecting = name;
  member.context.changed();
  try {
    let last = "";
    let movedMs = performance.now();
    while (performance.now() - movedMs < STALLED_AFTER_MS) {
      await readStatus(peer);
      await takeIn(member);
      if (aheadOf(member, [peer]).length === 0) return;
      const now = [...ends(member)].join();
      if (now !== last) movedMs = performance.now();
      last = now;
      await delay(LOOK_INTERVAL_MS);
    }
  } finally {
    member.collecting = null;
    member.context.changed();
  }
}

/** Who wrote here last and lives no longer would keep the other one waiting until its lease is silent for long enough. */
function giveMailboxFree({ context, peers }: Member, asked: string): void {
  const path = join(context.self.directory, LEASE_FILE);
  const lease = readSmallFile(path, LEASE_MAX_BYTES);
  if (lease === null) return;
  const holder = parseLease(lease)?.member;
  if (holder !== asked && peers.get(holder ?? "")?.alive !== true) removeFile(path);
}

/** Nothing that is held back on purpose is integrated by that. */
async function takeIn(member: Member): Promise<void> {
  try {
    await member.integrate();
  } catch (error) {
    // It is in the database's own report, and counts once the promotion needs it.
    if (!(error instanceof AfterimageError)) throw error;
  }
}

/** Copies the segments that continue this member's journal, and that the other one has not taken in, into this one's inbox. */
async function fetchInbox(member: Member, peer: Peer): Promise<void> {
  const { context } = member;
  try {
    for (const database of context.databases.keys()) {
      const directory = inboxDirectory(database, arrivalEpoch(context, database));
      let end = context.store.database(database)?.received?.txid ?? NO_TXID;
      for (const { name, minTxid, maxTxid } of await listSegments(peer, directory)) {
        if (maxTxid <= end || minTxid > end + 1n) continue;
        await fetchFile(peer, `${directory}/${name}`, join(context.self.directory, directory, name));
        end = maxTxid;
      }
    }
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    context.logger.warn({ err: error, member: peer.member.name }, "its inbox cannot be read");
    await peer.disconnect().catch(() => undefined);
    return;
  }
  await takeIn(member);
}

async function listSegments(peer: Peer, directory: string) {
  let entries: { name: string; minTxid: Txid; maxTxid: Txid }[] = [];
  // Who cannot be reached is not waited for as long as a transfer may take.
  await withTimeout(
    peer
      .transport()
      .list(directory)
      .then((found) => {
        entries = found.flatMap(({ kind, name }) => {
          const range = kind === "file" ? parseSegmentName(name) : null;
          return range === null ? [] : [{ name, ...range }];
        });
      }),
    READ_TIMEOUT_MS,
  );
  return entries.sort((a, b) => Number(a.minTxid - b.minTxid));
}

async function fetchFile(peer: Peer, name: string, path: string): Promise<void> {
  if (existsSync(path)) return;
  mkdirSync(join(path, ".."), { recursive: true });
  const part = uniquePartPath(path);
  if ((await peer.transport().get(name, part)) !== null) renameSync(part, path);
}

function ends({ context }: Member): Map<string, Position | null> {
  return new Map([...context.databases.keys()].map((name) => [name, context.store.database(name)?.received ?? null]));
}

function gains(member: Member, before: ReadonlyMap<string, Position | null>): Omit<Collected, "from">[] {
  return [...ends(member)].flatMap(([database, now]) => {
    const transactions = Number((now?.txid ?? NO_TXID) - (before.get(database)?.txid ?? NO_TXID));
    return transactions > 0 ? [{ database, transactions }] : [];
  });
}

function describeGain({ database, transactions, from }: Collected): string {
  return `${transactions} transactions of ${database} from ${from}`;
}

function behind({ roles, running }: Member, { peer, database, transactions }: Ahead): MemberError {
  const { name, type } = peer.member;
  const start = peer.alive && !running ? "Start this member's daemon, which can be sent it" : `Start ${name}'s daemon`;
  const other = type === "reporting" ? "" : `, or promote ${name} instead`;
  return new MemberError(
    "PROMOTION_BEHIND",
    `${name} has received ${transactions} transactions of ${database} that this member has not and cannot get from it`,
    { hint: `${start}${other}. --force ${roles.operational} gives them up.` },
  );
}

/** Puts together what the page shows, from what the member that answers knows. Pure functions. */
import type { BackupConfiguration, JournalConfiguration } from "../config/configuration.ts";
import type { StoredEvent } from "../journal/event-log.ts";
import type { SegmentTotals } from "../journal/segment-catalogue.ts";
import type { DatabaseStatus, MemberStatus } from "../status/member-status.ts";
import { isSeen } from "../status/mirror-set-view.ts";
import { guidance } from "./guidance.ts";
import { type KnownMember, memberAges } from "./member-ages.ts";
import { pageProblems, verdict } from "./page-problems.ts";
import type { Flows } from "./page-samples.ts";
import type {
  Level,
  MemberAges,
  PageBackups,
  PageDatabase,
  PageEvent,
  PageHistory,
  PageJournal,
  PageMember,
  PageProblem,
  PageView,
} from "./page-view.ts";

export interface PageFacts {
  /** The member that answers is among them. */
  readonly known: readonly KnownMember[];
  readonly self: MemberStatus;
  /** Of this program. */
  readonly version: string;
  readonly journal: JournalConfiguration;
  /** Of this member, of all databases. */
  readonly totals: SegmentTotals;
  readonly backup: BackupConfiguration;
  /** By database, when this member made the newest backup, milliseconds since 1970. */
  readonly backups: ReadonlyMap<string, number>;
  /** Oldest first. */
  readonly events: readonly StoredEvent[];
  readonly flows: Flows;
  readonly history: PageHistory;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** With hundreds of databases, those that somebody looks for are the worst. */
const DATABASES_SHOWN = 25;
const PROBLEMS_SHOWN = 40;

/** Members that this one has nothing to do with are asked twice a minute. */
const OLD_NEWS_SECONDS = 5;

const RANK: Readonly<Record<Level, number>> = { error: 0, warn: 1, ok: 2 };

export function buildPageView(facts: PageFacts): PageView {
  const { self, nowMs } = facts;
  const known = facts.known.map((each) => ({ ...each, status: withReceipts(each, facts.known) }));
  const members = known.map(({ status }) => status);
  const problems = pageProblems(known, nowMs);
  const ages = new Map(members.map(({ member }) => [member, memberAges(member, known)]));
  return {
    mirror: self.mirror,
    answeredBy: self.member,
    version: facts.version,
    time: new Date(nowMs).toISOString(),
    verdict: verdict(problems, members),
    members: known.map((each) => pageMember(each, { facts, members, problems, ages })),
    problems: problems.slice(0, PROBLEMS_SHOWN),
    databases: {
      total: Object.keys(self.databases).length,
      shown: Object.entries(self.databases).map(pageDatabase).sort(byTrouble).slice(0, DATABASES_SHOWN),
    },
    journals: members.flatMap(pageJournal),
    segments: {
      ...facts.totals,
      retentionSeconds: facts.journal.retentionMs / 1000,
      giveUpAfterSeconds: facts.journal.giveUpAfterMs / 1000,
    },
    backups: pageBackups(facts),
    events: facts.events.map(pageEvent).reverse(),
    guidance: guidance({
      ...{ members, self: self.member },
      receivedSeconds: (member) => ages.get(member)?.receivedSeconds ?? null,
    }),
    history: facts.history,
  };
}

/** What the receipts of others prove of a member counts before what it said itself a while ago, or has not said yet. */
function withReceipts({ status, newsSeconds }: KnownMember, known: readonly KnownMember[]): MemberStatus {
  const { member, role, state } = status;
  if (role === null) {
    const members = known.map((each) => each.status);
    const upstream = upstreamBy(member, members);
    return upstream === null ? status : { ...status, role: "mirror", follows: upstream };
  }
  const isOver = state === "waiting" && newsSeconds !== null && newsSeconds > OLD_NEWS_SECONDS;
  const { receivedSeconds } = memberAges(member, known);
  const isReached = receivedSeconds !== null && receivedSeconds <= OLD_NEWS_SECONDS;
  return isOver && isReached ? { ...status, state: "synchronizing", upstreamAgeSeconds: null } : status;
}

/** Whom a member follows by the receipts that another one, which lives, has of it; null when there are none. */
function upstreamBy(name: string, members: readonly MemberStatus[]): string | null {
  const teller = members.find(({ reachable, followers }) => reachable && followers[name]?.reachable === true);
  return teller === undefined ? null : (teller.followers[name]?.via ?? teller.member);
}

interface MemberFacts {
  readonly facts: PageFacts;
  readonly members: readonly MemberStatus[];
  readonly problems: readonly PageProblem[];
  readonly ages: ReadonlyMap<string, MemberAges>;
}

function pageMember({ status, newsSeconds }: KnownMember, { facts, members, problems, ages }: MemberFacts): PageMember {
  const { member: name } = status;
  const seen = isSeen(status, members);
  const { transactions, bytes } = facts.flows;
  // On this machine what an operational member takes in is cut here, and has come from nowhere.
  const isOnEdge = status.role === "mirror";
  return {
    name,
    role: status.role,
    type: status.type,
    state: seen && !status.reachable ? `seen by ${upstreamBy(name, members) ?? "another member"}` : status.state,
    level: memberLevel(status, seen, problems),
    follows: status.follows,
    epoch: status.epoch,
    isSeen: seen,
    newsSeconds,
    ages: ages.get(name) ?? { receivedSeconds: null, integratedSeconds: null },
    lagTransactions: lagTransactions(status, facts.self),
    databases: Object.keys(status.databases).length,
    transactionsPerSecond: transactions.get(name) ?? null,
    bytesPerSecond: isOnEdge ? (bytes.get(name) ?? null) : null,
    notes: status.reachable ? notesOf(status) : [],
  };
}

function memberLevel(status: MemberStatus, seen: boolean, problems: readonly PageProblem[]): Level {
  const own = problems.filter(({ member }) => member === status.member).map(({ level }) => level);
  if (own.includes("error") || status.state === "inconsistent") return "error";
  const isOff = !seen || ["waiting", "paused", "fenced"].includes(status.state);
  return isOff || own.includes("warn") ? "warn" : "ok";
}

/** By its receipts here, which are fresher than its own word; else as it says itself. */
function lagTransactions(status: MemberStatus, self: MemberStatus): number | null {
  const receipts = self.followers[status.member];
  const lags = Object.values(receipts?.databases ?? status.databases).map(({ lagTransactions: lag }) => lag);
  if (status.role === "operational" || lags.length === 0) return null;
  return lags.reduce((most, lag) => (most === null || lag === null ? null : Math.max(most, lag)));
}

/** Each once, however many databases it is about. */
function notesOf({ databases, handover }: MemberStatus): string[] {
  const counts = new Map<string, number>();
  for (const database of Object.values(databases)) {
    const note = databaseNote(database);
    if (note !== null) counts.set(note, (counts.get(note) ?? 0) + 1);
  }
  const notes = [...counts].map(([note, count]) => (count === 1 ? note : `${note} (${count} databases)`));
  return handover == null ? notes : [`hands its role over to ${handover.to}: ${handover.state}`, ...notes];
}

function databaseNote({ progress, resync, receiving, heldBy, hold, paused }: DatabaseStatus): string | null {
  if (resync != null) return "its copy is made equal to the upstream's";
  if (receiving != null) return "a copy is on its way";
  if (progress !== null) return `catching up: ${progress.transactions} transactions left`;
  if (heldBy !== null) return `waits for a ${heldBy.split(" ", 1)[0]}`;
  if (hold !== null) return hold.message;
  return paused ? "paused" : null;
}

function pageDatabase([name, database]: [string, DatabaseStatus]): PageDatabase {
  const { error, warnings, verified, received, integrated, pageSize, pageCount } = database;
  const wrong = error?.code ?? (verified?.ok === false ? "VERIFICATION_FAILED" : null);
  const [warning] = warnings;
  const note = databaseNote(database);
  return {
    name,
    level: wrong !== null ? "error" : warning !== undefined || database.paused ? "warn" : "ok",
    state: wrong ?? warning?.code ?? note ?? (database.fenced ? "read-only" : "writable"),
    received: received?.txid ?? null,
    integrated: integrated?.txid ?? null,
    lagTransactions: database.lagTransactions,
    ages: {
      receivedSeconds: database.receivedStaleSeconds ?? null,
      integratedSeconds: database.staleSeconds ?? null,
    },
    bytes: pageSize === null || pageCount === null ? null : pageSize * pageCount,
    walBytes: database.walBytes,
    verified: verified?.time ?? null,
  };
}

function byTrouble(a: PageDatabase, b: PageDatabase): number {
  const age = ({ ages }: PageDatabase) => ages.integratedSeconds ?? Number.MAX_SAFE_INTEGER;
  return RANK[a.level] - RANK[b.level] || Math.floor(age(b)) - Math.floor(age(a)) || (a.name < b.name ? -1 : 1);
}

function pageJournal({ member, journal, reachable }: MemberStatus): PageJournal[] {
  if (journal === null || !reachable) return [];
  const { bytes, maxBytes, freeBytes, minFreeBytes, oldest, shortages, givenUp } = journal;
  const names = [...new Set(givenUp.map((each) => each.member))];
  return [{ member, bytes, maxBytes, freeBytes, minFreeBytes, oldest, shortages, givenUp: names }];
}

function pageBackups({ self, backup, backups }: PageFacts): PageBackups {
  const { schedule, allowOperational, keep } = backup;
  const times = Object.keys(self.databases).map((database) => ({ database, atMs: backups.get(database) ?? null }));
  const sorted = times.sort((a, b) => (a.atMs ?? -1) - (b.atMs ?? -1));
  const isIdle = schedule !== null && self.role === "operational" && !allowOperational;
  return {
    schedule,
    idle: isIdle ? "it goes on when this member is a mirror again" : null,
    keep,
    missing: times.filter(({ atMs }) => atMs === null).length,
    newest: sorted.slice(0, DATABASES_SHOWN).map(({ database, atMs }) => ({
      ...{ database, time: atMs === null ? null : new Date(atMs).toISOString() },
    })),
  };
}

function pageEvent({ id, atMs, level, code, database, message }: StoredEvent): PageEvent {
  return { id, time: new Date(atMs).toISOString(), level, code, database, message };
}

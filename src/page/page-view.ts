/**
 * What the page shows: the JSON at `/ui/view.json`. The browser's modules in `page/` are checked against these types, so nothing
 * is imported here that a browser does not have.
 *
 * Ages and intervals are seconds; times are ISO 8601 in UTC; null is what is not known.
 */

export type Level = "ok" | "warn" | "error";

export interface PageView {
  /** The mirror set. */
  readonly mirror: string;
  /** The member whose daemon answers: everything is as this one knows it. */
  readonly answeredBy: string;
  /** Of the program. */
  readonly version: string;
  readonly time: string;
  readonly verdict: Verdict;
  /** In the order of the configuration. */
  readonly members: readonly PageMember[];
  /** The worst first. */
  readonly problems: readonly PageProblem[];
  /** Of the member that answers. */
  readonly databases: PageDatabases;
  /** By member. */
  readonly journals: readonly PageJournal[];
  /** Of the member that answers. */
  readonly segments: PageSegments;
  /** Of the member that answers. */
  readonly backups: PageBackups;
  /** Of the member that answers, the newest first. */
  readonly events: readonly PageEvent[];
  readonly guidance: readonly Situation[];
  readonly history: PageHistory;
}

/** Whether one can sleep. */
export interface Verdict {
  readonly level: Level;
  /** One sentence. */
  readonly text: string;
}

export interface PageMember {
  readonly name: string;
  readonly role: string | null;
  readonly type: string;
  readonly state: string;
  readonly level: Level;
  /** Null on the operational member. */
  readonly follows: string | null;
  readonly epoch: number | null;
  /** Whether its heartbeat moves, as this member sees it, or another one that lives. */
  readonly isSeen: boolean;
  /** Since its status document was written, at most. */
  readonly newsSeconds: number | null;
  readonly ages: MemberAges;
  /** That it has not integrated, of the database that is furthest behind. */
  readonly lagTransactions: number | null;
  readonly databases: number;
  /** The transactions a second that it has taken into its journal lately. */
  readonly transactionsPerSecond: number | null;
  /** The bytes a second on the way to it, where the member that answers sends or receives them. */
  readonly bytesPerSecond: number | null;
  /** What it is busy with, or what holds it back, one sentence each. */
  readonly notes: readonly string[];
}

/** Everything that was cut so long ago is proved to be there, in all databases; null when nothing is proved. */
export interface MemberAges {
  readonly receivedSeconds: number | null;
  readonly integratedSeconds: number | null;
}

export interface PageProblem {
  readonly level: "warn" | "error";
  /** The member that says so. */
  readonly member: string;
  /** A database, a follower, a place; null when it is about the member as a whole. */
  readonly subject: string | null;
  readonly code: string;
  readonly message: string;
  /** What to do next. */
  readonly hint: string | null;
  readonly since: string | null;
}

export interface PageDatabases {
  readonly total: number;
  /** Those in trouble first, then those furthest behind; there may be more. */
  readonly shown: readonly PageDatabase[];
}

export interface PageDatabase {
  readonly name: string;
  readonly level: Level;
  /** What is the matter with it, or what it is busy with, in a few words. */
  readonly state: string;
  /** 16 hexadecimal digits. */
  readonly received: string | null;
  readonly integrated: string | null;
  readonly lagTransactions: number | null;
  readonly ages: MemberAges;
  readonly bytes: number | null;
  readonly walBytes: number | null;
  /** When every page was last compared with the journal. */
  readonly verified: string | null;
}

export interface PageJournal {
  readonly member: string;
  readonly bytes: number;
  readonly maxBytes: number;
  /** Of its file system. */
  readonly freeBytes: number;
  readonly minFreeBytes: number;
  /** When the oldest segment or snapshot was cut. */
  readonly oldest: string | null;
  /** SPOOL_FULL, DISK_LOW. */
  readonly shortages: readonly string[];
  /** Members that segments were no longer kept for. */
  readonly givenUp: readonly string[];
}

export interface PageSegments {
  readonly segments: number;
  readonly snapshots: number;
  readonly bytes: number;
  /** A segment is kept for at least this long. */
  readonly retentionSeconds: number;
  /** A member that is away for longer is no longer waited for. */
  readonly giveUpAfterSeconds: number;
}

export interface PageBackups {
  /** Cron expression; null when backups are made by command only. */
  readonly schedule: string | null;
  /** Why the schedule makes none now; null when it does, or there is none. */
  readonly idle: string | null;
  readonly keep: number;
  /** Databases without any. */
  readonly missing: number;
  /** The oldest first, as many as are shown of databases. */
  readonly newest: readonly { readonly database: string; readonly time: string | null }[];
}

export interface PageEvent {
  readonly id: number;
  readonly time: string;
  readonly level: "info" | "warn" | "error";
  readonly code: string;
  readonly database: string | null;
  readonly message: string;
}

/** A section of docs/RUNBOOK.md that is about what is the matter now. */
export interface Situation {
  /** Its heading. */
  readonly section: string;
  /** Why it is shown, and what to mind. */
  readonly text: string;
  readonly commands: readonly PageCommand[];
}

export interface PageCommand {
  /** On whose machine. */
  readonly member: string;
  readonly command: string;
}

/** Figures of the last hours, at regular times. */
export interface PageHistory {
  /** Of the first value, milliseconds since 1970. */
  readonly startMs: number;
  readonly stepMs: number;
  /** By member, in seconds. */
  readonly received: Readonly<Record<string, readonly (number | null)[]>>;
  readonly integrated: Readonly<Record<string, readonly (number | null)[]>>;
  /** Of the member that answers: by name, a second. */
  readonly rates: Readonly<Record<RateName, readonly (number | null)[]>>;
}

/** `transactions`, `segments` and `bytes` have come into its journal; `shipped` are bytes that went out. */
export type RateName = "transactions" | "segments" | "bytes" | "shipped";

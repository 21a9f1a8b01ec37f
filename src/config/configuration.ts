/**
 * A configuration file that has been read and checked: paths are absolute, `~` and variables are expanded, defaults are
 * filled in, durations are milliseconds and sizes are bytes. docs/CONFIG.md describes every key.
 */
import { join } from "node:path";
import type { MemberType } from "../status/member-status.ts";
import type { AlertSection } from "./alert-configuration.ts";
import { ConfigError } from "./config-error.ts";
import type { DatabasePattern } from "./database-pattern.ts";
import { nearestName } from "./nearest-name.ts";

export interface Configuration {
  /** The file that this was read from, absolute. */
  readonly path: string;
  /** The name of the mirror set. */
  readonly mirror: string;
  /** The member that is operational at the very first start; later the role lives in the state. */
  readonly operational: string;
  /** IANA name of the time zone of all cron expressions; null for the machine's. */
  readonly timeZone: string | null;
  /** What an operational member does at its start when no other member can be asked whether it has taken over. */
  readonly onIsolation: (typeof ON_ISOLATION)[number];
  /** By name, in the order of the file. */
  readonly members: ReadonlyMap<string, MemberConfiguration>;
  readonly ssh: SshConfiguration;
  readonly journal: JournalConfiguration;
  /** For all members, as far as their own sections say nothing else. */
  readonly alerts: AlertSection;
}

export const ON_ISOLATION = ["continue", "fence"] as const;

export interface MemberConfiguration {
  readonly name: string;
  /** `file:///dir` or `sftp://user@host:port/dir`: how the other members reach this one's mailbox. */
  readonly mailbox: string;
  /** OpenSSH fingerprint, `SHA256:...`, of an sftp mailbox; null for a file mailbox. */
  readonly hostKey: string | null;
  /** Bytes a second that another member sends to this one at most; null for no limit. */
  readonly bandwidth: number | null;
  /** The SFTP server inside this member's daemon; null when its mailbox is served by something else. */
  readonly listen: ListenConfiguration | null;
  /** Health endpoints and metrics over HTTP; null for none. */
  readonly http: HttpConfiguration | null;
  /** The mailbox as this member sees it. */
  readonly directory: string;
  /** The state directory. */
  readonly state: string;
  /** Database files by database name, in the order of the file, without those that only a pattern names. */
  readonly databases: ReadonlyMap<string, string>;
  /** In the order of the file; a database belongs to the first one that matches. */
  readonly databasePatterns: readonly DatabasePattern[];
  /** The member whose journal this one follows: `operational` for whichever is, or a member's name. */
  readonly follows: string;
  readonly type: MemberType;
  /** A mirror integrates a segment once it has had it for this long; 0 for at once. */
  readonly delayMs: number;
  /** When a mirror integrates what it has received. */
  readonly integrate: Schedule;
  readonly backup: BackupConfiguration | null;
  /** Null when nothing is configured. */
  readonly drill: DrillConfiguration | null;
  readonly hooks: HookConfiguration;
  /** Comes before the section of the set; `alertConfiguration` says what holds. */
  readonly alerts: AlertSection;
}

/** Programs of this machine that are run when something happens; docs/CONFIG.md says when each of them is. */
export const HOOK_EVENTS = [
  "beforePromote",
  "afterPromote",
  "promoteFailed",
  "beforeFence",
  "afterFence",
  "roleChanged",
  "diverged",
  "quarantined",
  "alert",
] as const;

export type HookEvent = (typeof HOOK_EVENTS)[number];

/** By event the path of an executable file; an event that is missing has none. */
export interface HookConfiguration extends Readonly<Partial<Record<HookEvent, string | undefined>>> {
  /** A program that runs for longer is ended. */
  readonly timeLimitMs: number;
}

export interface ListenConfiguration {
  /** An address of this machine; `0.0.0.0` and `::` are all of them. */
  readonly address: string;
  readonly port: number;
  /** Private host key file; null for one that is made in the state directory at the first start. */
  readonly hostKey: string | null;
  /** Public keys that may log in, one an entry, as they stand in an `authorized_keys` file. */
  readonly authorizedKeys: readonly string[];
  /** Files of such keys, in addition. */
  readonly authorizedKeysFile: string | null;
}

export interface HttpConfiguration {
  /** An address of this machine; `0.0.0.0` and `::` are all of them. */
  readonly address: string;
  readonly port: number;
  /** PEM files of a certificate, with its chain, and of its key; null for HTTP without TLS. */
  readonly tls: { readonly certificate: string; readonly key: string } | null;
  /** Whether the page is there, which shows more than health checks do. */
  readonly page: boolean;
  /** Names by which browsers reach the page, besides addresses and those of the machine. */
  readonly names: readonly string[];
}

export interface BackupConfiguration {
  /** Cron expression; null when backups are only made by command. */
  readonly schedule: string | null;
  readonly directory: string;
  /** So many of the newest backups of each database are kept, whatever their age. */
  readonly keep: number;
  /** Backups that are younger are kept, however many; null: only `keep` counts. */
  readonly keepForMs: number | null;
  /** SQLite's check of every backup: `full` is integrity_check, `quick` is quick_check. */
  readonly check: (typeof BACKUP_CHECKS)[number];
  /** Whether the schedule goes on while this member is operational. */
  readonly allowOperational: boolean;
}

export interface DrillConfiguration {
  /** Cron expression; null when drills are only made by command. */
  readonly schedule: string | null;
  /** An executable file that looks into the promoted copies; null for none. */
  readonly script: string | null;
  /** Where the copies are made; null for the state directory. */
  readonly directory: string | null;
  /** A script that runs for longer is ended. */
  readonly timeLimitMs: number;
}

export const DRILL_TIME_LIMIT_MS = 600_000;

/** The drills of a member, also when none are configured. */
export function drillConfiguration({ drill }: MemberConfiguration): DrillConfiguration {
  return drill ?? { schedule: null, script: null, directory: null, timeLimitMs: DRILL_TIME_LIMIT_MS };
}

export const BACKUP_CHECKS = ["full", "quick"] as const;
/** `keep` when it is not given. */
export const BACKUPS_KEPT = 7;

/** The backups of a member: as configured, or, when nothing is, below its state directory. */
export function backupConfiguration(member: MemberConfiguration): BackupConfiguration {
  if (member.backup !== null) return member.backup;
  const directory = join(member.state, "backups");
  return { schedule: null, directory, keep: BACKUPS_KEPT, keepForMs: null, check: "full", allowOperational: false };
}

/** How this member logs in to the others, and how it knows them. */
export interface SshConfiguration {
  /** Private key file; null for the SSH agent. */
  readonly identity: string | null;
  /** A file whose first line is the passphrase of the private key. */
  readonly passphraseFile: string | null;
  /** The name of an environment variable that holds it. */
  readonly passphraseVariable: string | null;
  /** OpenSSH's list of host keys, for members without a `hostKey`. */
  readonly knownHosts: string | null;
}

export interface JournalConfiguration {
  readonly rotate: Schedule;
  /** With `continuous`: the least time between two segments of a database. */
  readonly minIntervalMs: number;
  /** A segment is cut early at this size; one transaction may be larger. */
  readonly maxSegmentBytes: number;
  /** Segments are kept for at least this long. */
  readonly retentionMs: number;
  /** A member that is away for longer no longer holds the journal back, and will need a rebuild. */
  readonly giveUpAfterMs: number;
  /** What the journal directory holds at most; null for the default, see src/member/journal-space.ts. */
  readonly maxBytes: number | null;
  /** What is left free on the file systems of the journal and of the databases; null for the default. */
  readonly minFreeBytes: number | null;
  /** Cron expression of the snapshots; null for none. */
  readonly snapshot: string | null;
  /** When segments go to the followers. */
  readonly ship: Schedule;
  /** Cron expression of the verification of every page; null for none. */
  readonly verify: string | null;
  /** Cron expression of the verification of every copy from a mirror up to the operational member; null for none. */
  readonly deepVerify: string | null;
}

/** By a cron expression with or without seconds, or whenever there is something to do. */
export type Schedule = { readonly kind: "cron"; readonly expression: string } | { readonly kind: "continuous" };

/** Whether a member integrates late on purpose: then it is never at the end of the journal, but for moments. */
export function integratesLate({ members }: Configuration, name: string): boolean {
  const { delayMs = 0, integrate } = members.get(name) ?? {};
  return delayMs > 0 || (integrate !== undefined && integrate.kind !== "continuous");
}

/** The value of `follows` for "whichever member is operational". */
export const FOLLOWS_OPERATIONAL = "operational";

/** @throws ConfigError MEMBER_UNKNOWN, which names the nearest member, when there is none of that name. */
export function selectMember(configuration: Configuration, name: string): MemberConfiguration {
  const member = configuration.members.get(name);
  if (member !== undefined) return member;
  const names = [...configuration.members.keys()];
  const nearest = nearestName(name, names);
  throw new ConfigError("MEMBER_UNKNOWN", `there is no member ${name} in the mirror set ${configuration.mirror}`, {
    path: configuration.path,
    hint: nearest === null ? `the members are: ${names.join(", ")}` : `did you mean ${nearest}?`,
  });
}

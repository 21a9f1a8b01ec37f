/** What alerts there are. docs/ALERTS.md lists them; a name, once published, keeps its meaning. */
import type { EventLevel } from "../journal/event-log.ts";

export type AlertLevel = Exclude<EventLevel, "info">;

export interface AlertKind {
  readonly level: AlertLevel;
  /** The key of the configuration that sets its threshold; null when it has none. */
  readonly key: string | null;
  /** One sentence. */
  readonly cause: string;
  /** What to do next. */
  readonly hint: string;
}

export const ALERT_CODES = [
  "UPSTREAM_SILENT",
  "RECEIVED_LAG",
  "INTEGRATED_LAG",
  "FOLLOWER_AWAY",
  "RECEIPT_OLD",
  "TOPOLOGY_UNSAFE",
  "SPOOL_LARGE",
  "FREE_SPACE_LOW",
  "QUARANTINE",
  "VERIFICATION_FAILED",
  "BACKUP_OLD",
  "BACKUP_FAILED",
  "DATABASE_ERROR",
  "MEMBER_ERROR",
] as const;

export type AlertCode = (typeof ALERT_CODES)[number];

export const ALERTS: Readonly<Record<AlertCode, AlertKind>> = {
  UPSTREAM_SILENT: {
    level: "error",
    key: "upstreamSilent",
    cause:
      "This mirror has heard nothing of the operational member for so long, directly or through the members between.",
    hint: "Look at that machine, its daemon and the network; when it is lost, `afterimage promote` on a mirror takes over.",
  },
  RECEIVED_LAG: {
    level: "error",
    key: "receivedLag",
    cause:
      "What the operational member cut so long ago is not proved to be in this mirror's journal; silence counts, and so does a mirror that has nothing yet.",
    hint: "Run `afterimage status` on both members, and `afterimage doctor` on the upstream: it tries the way here.",
  },
  INTEGRATED_LAG: {
    level: "warn",
    key: "integratedLag",
    cause:
      "What the operational member cut so long ago, and the mirror's own `delay`, is not proved to be in a copy; a pause counts.",
    hint: "Run `afterimage status`: it says what holds integration back; `afterimage resume` ends a pause.",
  },
  FOLLOWER_AWAY: {
    level: "warn",
    key: "followerAway",
    cause: "A member that follows this one has shown no sign of life for so long.",
    hint: "Look at its machine and its daemon; `afterimage doctor` here tries the way there. Its segments are kept.",
  },
  RECEIPT_OLD: {
    level: "error",
    key: "receiptAge",
    cause:
      "The operational member has cut something so long ago that a member behind it has not proved to have received: it would be lost with this machine.",
    hint: "Run `afterimage status`: it shows why nothing reaches that member.",
  },
  TOPOLOGY_UNSAFE: {
    level: "error",
    key: "topologyUnsafe",
    cause:
      "For so long no failover or dr member that is configured has been alive, sound and complete: none could be promoted now.",
    hint: "Bring one of them back; `afterimage status` says what is wrong with each.",
  },
  SPOOL_LARGE: {
    level: "warn",
    key: "spool",
    cause:
      "The journal has reached this share of `journal.maxBytes`, or has come up against a limit and loses history before its time.",
    hint: "Run `afterimage purge --dry-run`; bring members back that are away, or raise `journal.maxBytes`.",
  },
  FREE_SPACE_LOW: {
    level: "error",
    key: "freeSpace",
    cause:
      "So little is free on the file system of the journal, or of a database. Below `journal.minFree` nothing more is taken in.",
    hint: "Free some space there. Work goes on by itself, and nothing is lost meanwhile.",
  },
  QUARANTINE: {
    level: "warn",
    key: "quarantine",
    cause: "So many files that this mirror has refused are in `quarantine/`.",
    hint: "Read the reasons beside them in `quarantine/` of the state directory; remove the files when you have looked.",
  },
  VERIFICATION_FAILED: {
    level: "error",
    key: null,
    cause: "The last verification found a database to be something else than its journal says.",
    hint: "Run `afterimage verify`: it says what differs. `afterimage rebuild` makes a mirror's copy right.",
  },
  BACKUP_OLD: {
    level: "warn",
    key: "backupAge",
    cause: "The newest backup of a database, where backups are made by schedule, is so old, or there is none.",
    hint: "Run `afterimage backup` there; BACKUP_FAILED among `afterimage events` says why none was made.",
  },
  BACKUP_FAILED: {
    level: "warn",
    key: null,
    cause: "The last scheduled backup of a database failed, and none was made since.",
    hint: "Remove what it names, and run `afterimage backup`.",
  },
  DATABASE_ERROR: {
    level: "error",
    key: "errors",
    cause: "A database has had an error for so long; there is one alert for each code.",
    hint: "Run `afterimage status`: it says what to do.",
  },
  MEMBER_ERROR: {
    level: "error",
    key: "errors",
    cause:
      "The member as a whole has had an error for so long, such as DEPOSED or ISOLATED; there is one alert for each code.",
    hint: "Run `afterimage status`: it says what to do.",
  },
};

/** What a command's end means to a script. Codes of errors that are not named here mean that it failed. */
import type { BackupErrorCode } from "../backup/backup-error.ts";
import type { RestoreErrorCode } from "../backup/restore-error.ts";
import type { ConfigErrorCode } from "../config/config-error.ts";
import type { DivergenceErrorCode } from "../divergence/divergence-error.ts";
import { AfterimageError } from "../errors.ts";
import type { HookErrorCode } from "../hooks/hook-error.ts";
import type { JournalErrorCode } from "../journal/journal-error.ts";
import type { StateErrorCode } from "../journal/state-error.ts";
import type { SegmentErrorCode } from "../ltx/segment-error.ts";
import type { ControlErrorCode } from "../member/control-error.ts";
import type { MemberErrorCode } from "../member/member-error.ts";
import type { SalvageErrorCode } from "../salvage/salvage-error.ts";
import type { DatabaseErrorCode } from "../sqlite/database-error.ts";
import type { TransportErrorCode } from "../transport/transport-error.ts";
import type { CliErrorCode } from "./cli-error.ts";

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  /** A safety check refused. */
  refused: 3,
  /** Somebody else holds a lock. */
  busy: 4,
  /** A rebuild is needed. */
  outOfSync: 5,
  unreachable: 6,
} as const;

/** For the help text and the manual page. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  done: "done",
  failed: "failed",
  usage: "usage or configuration",
  refused: "refused by a safety check",
  busy: "busy (locked)",
  outOfSync: "out of sync (needs a rebuild)",
  unreachable: "peer unreachable",
};

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

type KnownCode =
  | BackupErrorCode
  | CliErrorCode
  | ConfigErrorCode
  | ControlErrorCode
  | DatabaseErrorCode
  | DivergenceErrorCode
  | HookErrorCode
  | JournalErrorCode
  | MemberErrorCode
  | RestoreErrorCode
  | SalvageErrorCode
  | SegmentErrorCode
  | StateErrorCode
  | TransportErrorCode;

const EXIT_BY_CODE: Readonly<Record<string, ExitCode>> = {
  USAGE: EXIT.usage,
  NODE_REQUIRED: EXIT.usage,
  FILE_MISSING: EXIT.usage,
  CONFIG_MISSING: EXIT.usage,
  CONFIG_UNREADABLE: EXIT.usage,
  CONFIG_INVALID: EXIT.usage,
  MEMBER_UNKNOWN: EXIT.usage,
  UNTIL_OF_MANY: EXIT.usage,
  SWITCHOVER_TARGET: EXIT.usage,
  DATABASE_UNKNOWN: EXIT.usage,
  HOOK_FAILED: EXIT.failed,
  CONTROL_SILENT: EXIT.failed,
  RELOAD_NEEDS_RESTART: EXIT.refused,
  CONTROL_PATH_TOO_LONG: EXIT.usage,
  URL_INVALID: EXIT.usage,
  SALVAGE_NOTHING_FOUND: EXIT.usage,

  NOT_CONFIRMED: EXIT.refused,
  SEED_UNUSABLE: EXIT.refused,
  FILE_EXISTS: EXIT.refused,
  COPY_EXISTS: EXIT.refused,
  RESYNC_RUNNING: EXIT.busy,
  DATABASE_EXISTS: EXIT.refused,
  NODE_OTHER: EXIT.refused,
  DATABASE_NOT_WAL: EXIT.refused,
  NOT_OPERATIONAL: EXIT.refused,
  NOT_A_MIRROR: EXIT.refused,
  UNFENCE_REFUSED: EXIT.refused,
  MEMBER_CLONED: EXIT.refused,
  STATE_SET_BACK: EXIT.refused,
  MAILBOX_LINK: EXIT.refused,
  PROMOTION_ALIVE: EXIT.refused,
  PROMOTION_BEHIND: EXIT.refused,
  PROMOTION_INCOMPLETE: EXIT.refused,
  PROMOTION_TYPE: EXIT.refused,
  PROMOTION_VETOED: EXIT.refused,
  OFFER_REFUSED: EXIT.refused,
  SWITCHOVER_CANCELLED: EXIT.refused,
  SWITCHOVER_DATABASES: EXIT.refused,
  SWITCHOVER_EPOCH: EXIT.refused,
  SWITCHOVER_ERROR: EXIT.refused,
  SWITCHOVER_FENCED: EXIT.refused,
  SWITCHOVER_HELD: EXIT.refused,
  SWITCHOVER_NONE: EXIT.refused,
  SWITCHOVER_REFUSED: EXIT.refused,
  SWITCHOVER_TYPE: EXIT.refused,
  UNTIL_PASSED: EXIT.refused,
  STATE_FOREIGN: EXIT.refused,
  STATE_TOO_NEW: EXIT.refused,
  CONTROL_DENIED: EXIT.refused,
  BACKUP_REFUSED: EXIT.refused,
  RESTORE_TOO_OLD: EXIT.refused,
  RESTORE_TOO_NEW: EXIT.refused,
  HOST_KEY_UNKNOWN: EXIT.refused,
  HOST_KEY_CHANGED: EXIT.refused,
  LEASE_FOREIGN: EXIT.refused,
  KEPT_FOREIGN: EXIT.refused,
  KEPT_UNREADABLE: EXIT.usage,
  SALVAGE_FOREIGN: EXIT.refused,
  SALVAGE_OUTSIDE: EXIT.refused,
  SALVAGE_MEMBER_ALIVE: EXIT.refused,
  SALVAGE_IN_USE: EXIT.refused,
  SALVAGE_WAL_DIFFERENT: EXIT.refused,
  SALVAGE_OLDER: EXIT.refused,
  SALVAGE_UNPROVED: EXIT.refused,

  SWITCHOVER_RUNNING: EXIT.busy,
  LOCK_HELD: EXIT.busy,
  LEASE_HELD: EXIT.busy,
  DATABASE_BUSY: EXIT.busy,
  SALVAGE_MIRROR_MOVED: EXIT.busy,
  CONTROL_IN_USE: EXIT.busy,
  BACKUP_RUNNING: EXIT.busy,
  BACKUP_WHILE_INTEGRATING: EXIT.busy,
  INTEGRATION_WHILE_BACKUP: EXIT.busy,

  DIVERGED: EXIT.outOfSync,
  REJOIN_UNKEPT: EXIT.failed,
  REJOIN_UNFENCED: EXIT.failed,
  REJOIN_UNREPORTED: EXIT.failed,
  REJOIN_UNREACHABLE: EXIT.unreachable,
  MIRROR_INCONSISTENT: EXIT.outOfSync,
  INTEGRATION_CHECKSUM: EXIT.outOfSync,
  NO_SNAPSHOT: EXIT.outOfSync,
  PAGE_SIZE_CHANGED: EXIT.outOfSync,
  RESTORE_GAP: EXIT.outOfSync,
  SALVAGE_EPOCH: EXIT.outOfSync,
  SALVAGE_PAGE_SIZE: EXIT.outOfSync,
  SALVAGE_CHECKSUM: EXIT.outOfSync,
  SEGMENT_GAP: EXIT.outOfSync,
  SEGMENT_CHAIN: EXIT.outOfSync,
  SEGMENT_EPOCH: EXIT.outOfSync,
  SEGMENT_SENDER: EXIT.outOfSync,
  LEASE_EPOCH: EXIT.outOfSync,

  FOLLOWER_UNKNOWN: EXIT.usage,
  SYNC_TIMEOUT: EXIT.unreachable,
  SWITCHOVER_BEHIND: EXIT.unreachable,
  SWITCHOVER_DOWN: EXIT.unreachable,
  SWITCHOVER_MAILBOX: EXIT.unreachable,
  SWITCHOVER_TIMEOUT: EXIT.unreachable,
  SWITCHOVER_UNSETTLED: EXIT.unreachable,
  UNREACHABLE: EXIT.unreachable,
  HOST_UNKNOWN: EXIT.unreachable,
  CONNECTION_REFUSED: EXIT.unreachable,
  CONNECTION_LOST: EXIT.unreachable,
  TIMED_OUT: EXIT.unreachable,
  LOGIN_REFUSED: EXIT.unreachable,
  TARGET_MISSING: EXIT.unreachable,
} satisfies Partial<Record<KnownCode, ExitCode>>;

export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof AfterimageError ? exitCodeOfCode(error.code) : EXIT.failed;
}

/** @param code as errors have it, also one of another version of this program. */
export function exitCodeOfCode(code: string): ExitCode {
  return (Object.hasOwn(EXIT_BY_CODE, code) ? EXIT_BY_CODE[code] : undefined) ?? EXIT.failed;
}

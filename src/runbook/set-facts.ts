/** What `afterimage check` looks at. */
import type { CheckLevel } from "../member/check-result.ts";
import type { MirrorSetStatus } from "../status/member-status.ts";

/** From where on an age is a warning and a failure, in seconds; null: ages mean nothing, as with a schedule. */
export interface AgeLimits {
  readonly warn: number;
  readonly fail: number;
}

export interface SetFacts {
  readonly status: MirrorSetStatus;
  readonly limits: {
    /** By member, of what it has received. */
    readonly receivedSeconds: ReadonlyMap<string, AgeLimits | null>;
    /** By member, of what is in its copies. */
    readonly integratedSeconds: ReadonlyMap<string, AgeLimits | null>;
    /** Of the last verification; null when none is scheduled. */
    readonly verifiedSeconds: number | null;
    /** Of the newest backup of this member; null when none is scheduled. */
    readonly backupSeconds: number | null;
  };
  /** By database, when this member made its newest backup, milliseconds since 1970. */
  readonly backups: ReadonlyMap<string, number>;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** @param seconds null when nothing is proved. */
export function judgeAge(seconds: number | null, limits: AgeLimits | null): CheckLevel {
  if (limits === null) return "OK";
  if (seconds === null) return "WARN";
  if (seconds > limits.fail) return "FAIL";
  return seconds > limits.warn ? "WARN" : "OK";
}

/** Null when one of them is not known; 0 when there are none. */
export function oldest(ages: readonly (number | null)[]): number | null {
  return ages.reduce<number | null>((most, age) => (most === null || age === null ? null : Math.max(most, age)), 0);
}

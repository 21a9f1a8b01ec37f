/**
 * The JSON that health endpoints answer with. Keys and the words for roles are Patroni's where it has them, so that its users'
 * scripts find what they look for; states are our own. It holds no paths and no messages of errors.
 */
import type { EpochDocument } from "../roles/role-documents.ts";
import type { DatabaseStatus, MemberStatus } from "../status/member-status.ts";
import type { HealthFacts } from "./health-source.ts";

interface LagView {
  /** Of the database that is furthest behind; null when not known. */
  readonly lag_transactions: number | null;
  readonly lag_seconds: number | null;
  /** Everything that was cut so many seconds ago is in all of its copies; null when nothing is proved. */
  readonly stale_seconds: number | null;
}

export interface HealthAnswer extends LagView {
  readonly state: string;
  readonly role: "primary" | "replica";
  /** The epoch. */
  readonly timeline: number | null;
  /** Why the check fails; null when it holds. */
  readonly reason: string | null;
  readonly afterimage: { readonly version: string; readonly scope: string; readonly name: string };
}

const UNKNOWN_LAG: LagView = { lag_transactions: null, lag_seconds: null, stale_seconds: null };

interface ClusterMember extends LagView {
  readonly name: string;
  readonly role: "leader" | "replica";
  readonly state: string;
  readonly timeline: number | null;
  readonly type: string;
  readonly follows: string | null;
}

export interface ClusterAnswer {
  /** The mirror set. */
  readonly scope: string;
  readonly members: readonly ClusterMember[];
}

/** The epoch, by database the position at which it began, why, when (ISO 8601), and who is operational in it. */
export type HistoryEntry = readonly [
  epoch: number,
  starts: Readonly<Record<string, string>>,
  reason: string,
  startedAt: string,
  member: string,
];

export function healthAnswer({ status, serves }: HealthFacts, version: string, reason: string | null): HealthAnswer {
  return {
    state: status.state,
    role: serves === "operational" ? "primary" : "replica",
    timeline: status.epoch,
    reason,
    ...lagOf(status),
    afterimage: { version, scope: status.mirror, name: status.member },
  };
}

/** @param own the status of the member that answers, which says who reigns: one that is gone still says that it does. */
export function clusterAnswer(own: MemberStatus, members: readonly MemberStatus[]): ClusterAnswer {
  const leader = own.history.at(-1)?.member;
  return {
    scope: own.mirror,
    members: members.map((status) => ({
      name: status.member,
      role: status.member === leader ? "leader" : "replica",
      state: status.state,
      timeline: status.epoch,
      type: status.type,
      follows: status.follows,
      ...(status.reachable ? lagOf(status) : UNKNOWN_LAG),
    })),
  };
}

export function historyAnswer(epochs: readonly EpochDocument[]): HistoryEntry[] {
  return epochs.map(({ epoch, starts, reason, startedAt, member }) => [epoch, starts, reason, startedAt, member]);
}

function lagOf({ databases }: MemberStatus): LagView {
  const worst = (lagIn: (database: DatabaseStatus) => number | null) =>
    Object.values(databases).reduce<number | null>((most, database) => {
      const value = lagIn(database);
      return most === null || value === null ? null : Math.max(most, value);
    }, 0);
  return {
    lag_transactions: worst(({ lagTransactions }) => lagTransactions),
    lag_seconds: worst(({ lagSeconds }) => lagSeconds),
    stale_seconds: worst(({ staleSeconds = null }) => staleSeconds),
  };
}

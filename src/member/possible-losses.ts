/** What a promotion would lose, by what the members say of themselves. Pure functions. */
import type { MemberStatus, PositionView } from "../status/member-status.ts";

export interface LossFacts {
  /** The member that is to take over. */
  readonly target: MemberStatus;
  /** Who reigns in the newest epoch; null when its status is not known. */
  readonly operational: MemberStatus | null;
  /** All the rest. */
  readonly others: readonly MemberStatus[];
}

/** What a promotion would lose of one database, as far as is known: what was never cut into a segment is not. */
export interface PossibleLoss {
  readonly database: string;
  /** `epoch:txid:checksum` of what the member has; null when it has nothing. */
  readonly received: string | null;
  /** When that was cut, ISO 8601 by the operational member's clock; null when not known. */
  readonly time: string | null;
  /** Since then, by this machine's clock. */
  readonly ageSeconds: number | null;
  /** Transactions that are known of and that the member has not; null when nothing is known of the operational member's. */
  readonly transactions: number | null;
  /** From the end of what it has to the end that is known, on the operational member's clock; null when not known. */
  readonly seconds: number | null;
  /** Other mirrors that have more, and by how many transactions. */
  readonly ahead: readonly { readonly member: string; readonly transactions: number }[];
}

/**
 * What a promotion of the target would lose now, by database.
 * @param nowMs by this machine's clock.
 */
export function possibleLosses({ target, operational, others }: LossFacts, nowMs: number): PossibleLoss[] {
  const names = new Set([...Object.keys(target.databases), ...Object.keys(operational?.databases ?? {})]);
  return [...names].sort().map((database) => {
    const copy = target.databases[database];
    const own = copy?.received ?? null;
    const ends = [operational?.databases[database]?.received ?? null, copy?.operational ?? null];
    const end = ends.reduce((a, b) => (a === null || (b !== null && numberOf(b) > numberOf(a)) ? b : a), null);
    const ahead = others.flatMap(({ member, type, databases }) => {
      const transactions = difference(databases[database]?.received ?? null, own);
      return type === "reporting" || transactions <= 0 ? [] : [{ member, transactions }];
    });
    return {
      database,
      received: own === null ? null : `${own.epoch}:${own.txid}:${own.checksum}`,
      time: own?.time ?? null,
      ageSeconds: own?.time == null ? null : Math.max(0, (nowMs - Date.parse(own.time)) / 1000),
      transactions: end === null ? null : Math.max(0, difference(end, own)),
      seconds: secondsBetween(own, end),
      ahead,
    };
  });
}

function secondsBetween(from: PositionView | null, to: PositionView | null): number | null {
  if (from?.time == null || to?.time == null) return null;
  return Math.max(0, (Date.parse(to.time) - Date.parse(from.time)) / 1000);
}

function difference(a: PositionView | null, b: PositionView | null): number {
  return Number((a === null ? 0n : numberOf(a)) - (b === null ? 0n : numberOf(b)));
}

function numberOf({ txid }: PositionView): bigint {
  return BigInt(`0x${txid}`);
}

/** How fast the journal of the member that answers grows, and how well its pages are compressed, by what it holds of the last minute. */
import type { SegmentView } from "../member/member-control.ts";
import type { MemberStatus } from "../status/member-status.ts";

export const RATE_WINDOW_S = 60;
/** Of each database: enough for a minute of all but the busiest. */
export const RATE_SEGMENTS = 500;
const KIB = 1024;

export interface SegmentRates {
  readonly transactionsPerSecond: number;
  /** Of segments as they are shipped. */
  readonly bytesPerSecond: number;
  /** Bytes of the pages in them for each byte; null when there were none. */
  readonly compression: number | null;
}

/**
 * @param segments those of the last minute, without snapshots, at most {@link RATE_SEGMENTS} of each database.
 * @param status of the member that has them.
 */
export function segmentRates(
  segments: readonly SegmentView[],
  { databases }: Pick<MemberStatus, "databases">,
): SegmentRates {
  const byDatabase = Map.groupBy(segments, ({ database }) => database);
  const total = { transactions: 0, bytes: 0, pages: 0, size: 0 };
  for (const [database, each] of byDatabase) {
    const seconds = secondsCovered(each);
    for (const { minTxid, maxTxid, bytes, pages } of each) {
      total.transactions += Number(BigInt(`0x${maxTxid}`) - BigInt(`0x${minTxid}`) + 1n) / seconds;
      total.bytes += bytes / seconds;
      total.size += bytes;
      total.pages += pages * (databases[database]?.pageSize ?? 0);
    }
  }
  const compression = total.size === 0 || total.pages === 0 ? null : total.pages / total.size;
  return { transactionsPerSecond: total.transactions, bytesPerSecond: total.bytes, compression };
}

/** When there were more than were asked for, they are of less than the whole minute. */
function secondsCovered(segments: readonly SegmentView[]): number {
  const [first, last] = [segments[0], segments.at(-1)];
  if (first === undefined || last === undefined || segments.length < RATE_SEGMENTS) return RATE_WINDOW_S;
  return Math.max(1, (Date.parse(last.time) - Date.parse(first.time)) / 1000);
}

export function rateLine(member: string, { transactionsPerSecond, bytesPerSecond, compression }: SegmentRates): string {
  const ratio = compression === null ? "" : `; pages are compressed ${compression.toFixed(1)} : 1`;
  const speed = `${transactionsPerSecond.toFixed(1)} transactions and ${(bytesPerSecond / KIB).toFixed(1)} KiB a second`;
  return `${member}: its journal grew by ${speed} in the last minute${ratio}`;
}

/**
 * How far a database may be integrated now: one decision over everything that may hold a segment back. It touches nothing.
 *
 * Times of two machines are never compared: `delay` and the schedule look at when this member took a segment in, by its own
 * clock; `until` looks at when the segment was cut, which is what an operator sees and names.
 */
import { formatDuration } from "../config/quantities.ts";
import type { SegmentRow } from "../journal/segment-catalogue.ts";
import { formatTxid, parseTxid, type Txid, toTxid } from "../ltx/position.ts";

/** Where integration stops: after the last segment that is not beyond. */
export type Until =
  | { readonly kind: "txid"; readonly txid: Txid }
  /** Of the segment, by the clock of the member that cut it; milliseconds since 1970. */
  | { readonly kind: "time"; readonly timeMs: number };

export interface GateFacts {
  readonly nowMs: number;
  /** By an operator. */
  readonly paused: boolean;
  readonly until: Until | null;
  /** 0 for none. */
  readonly delayMs: number;
  /** The last and the next time of the schedule; null when integration is continuous. */
  readonly window: { readonly lastMs: number; readonly nextMs: number } | null;
  /** Other databases whose errors stop this one too. */
  readonly failed: readonly string[];
}

/** What holds a segment back. */
export type Hold =
  | { readonly by: "operator" }
  | { readonly by: "failure"; readonly failed: readonly string[] }
  | { readonly by: "until"; readonly until: Until }
  | { readonly by: "delay"; readonly delayMs: number; readonly endsAtMs: number }
  | { readonly by: "window"; readonly endsAtMs: number };

const LAST_TXID = toTxid(0x7fff_ffff_ffff_ffffn);

/** What the last segment that may be integrated has at most; null when none may. */
export function limitOf(facts: GateFacts): { txid: Txid; timeMs: number; addedAtMs: number } | null {
  const { nowMs, paused, until, delayMs, window, failed } = facts;
  if (paused || failed.length > 0) return null;
  return {
    txid: until?.kind === "txid" ? until.txid : LAST_TXID,
    timeMs: until?.kind === "time" ? until.timeMs : Number.MAX_SAFE_INTEGER,
    addedAtMs: Math.min(
      delayMs === 0 ? Number.MAX_SAFE_INTEGER : nowMs - delayMs,
      window?.lastMs ?? Number.MAX_SAFE_INTEGER,
    ),
  };
}

/** What holds the segment back, the longest-lasting first; null when it may be integrated. */
/** Whether nothing is, or could be, held back on purpose. */
export function isUnheld({ paused, until, delayMs, window }: GateFacts): boolean {
  return !paused && until === null && delayMs === 0 && window === null;
}

export function holdOf(
  segment: Pick<SegmentRow, "maxTxid" | "timestampMs" | "addedAtMs">,
  facts: GateFacts,
): Hold | null {
  const { paused, until, delayMs, window, failed } = facts;
  const limit = limitOf(facts);
  if (paused) return { by: "operator" };
  if (limit === null) return { by: "failure", failed };
  if (until !== null && (segment.maxTxid > limit.txid || segment.timestampMs > limit.timeMs))
    return { by: "until", until };
  if (segment.addedAtMs <= limit.addedAtMs) return null;
  if (window !== null && segment.addedAtMs > window.lastMs) return { by: "window", endsAtMs: window.nextMs };
  return { by: "delay", delayMs, endsAtMs: segment.addedAtMs + delayMs };
}

/** @param transactions that wait. */
export function describeHold(hold: Hold, transactions: number): string {
  const wait = `${transactions} ${transactions === 1 ? "transaction waits" : "transactions wait"}`;
  switch (hold.by) {
    case "operator":
      return `paused by operator: ${wait}`;
    case "failure":
      return `stopped because ${hold.failed.join(", ")} failed: ${wait}`;
    case "until":
      return `until ${hold.until.kind === "txid" ? "transaction " : ""}${formatUntil(hold.until)}: ${wait}`;
    case "delay":
      return `delay ${formatDuration(hold.delayMs)}: ${wait}`;
    case "window":
      return `window: next at ${new Date(hold.endsAtMs).toISOString()}: ${wait}`;
    default: {
      const never: never = hold;
      return never;
    }
  }
}

/** 16 hexadecimal digits, or ISO 8601 in UTC. */
export function formatUntil(until: Until): string {
  return until.kind === "txid" ? formatTxid(until.txid) : new Date(until.timeMs).toISOString();
}

/** The inverse of {@link formatUntil}; null when the text is neither. */
export function parseUntil(text: string): Until | null {
  const txid = parseTxid(text);
  if (txid !== null) return { kind: "txid", txid };
  const timeMs = Date.parse(text);
  return Number.isNaN(timeMs) ? null : { kind: "time", timeMs };
}

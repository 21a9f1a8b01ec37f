/** How far a database of a member is behind, on the way to it and in it apart. Pure functions of status documents. */
import { type DatabaseStatus, type PositionView, parsePositionView } from "./member-status.ts";

export interface Lag {
  /** Null when one of the two ends is not known. */
  readonly transactions: number | null;
  /** Between the two ends by the operational member's clock, so that no two clocks are compared; null when not known. */
  readonly seconds: number | null;
}

/** What the operational member has cut, as far as the member knows, and the member has not received. */
export function transportLag({ operational, received }: DatabaseStatus): Lag {
  return lagBetween(operational, received);
}

/** What the member has received and not integrated. */
export function integrationLag({ received, integrated }: DatabaseStatus): Lag {
  return lagBetween(received, integrated);
}

/**
 * The lag with no more seconds than the copy may be old by what is proved: after a day without commits the first one
 * would otherwise be a day late for a moment.
 */
export function boundedLag(lag: Lag, { staleSeconds = null }: Pick<DatabaseStatus, "staleSeconds">): Lag {
  return lag.seconds === null || staleSeconds === null ? lag : { ...lag, seconds: Math.min(lag.seconds, staleSeconds) };
}

function lagBetween(end: PositionView | null, reached: PositionView | null): Lag {
  const [last, done] = [parsePositionView(end), parsePositionView(reached)];
  if (last === null || done === null) return { transactions: null, seconds: null };
  const transactions = Math.max(0, Number(last.txid - done.txid));
  if (transactions === 0) return { transactions, seconds: 0 };
  const ms = Date.parse(end?.time ?? "") - Date.parse(reached?.time ?? "");
  return { transactions, seconds: Number.isNaN(ms) ? null : Math.max(0, ms) / 1000 };
}

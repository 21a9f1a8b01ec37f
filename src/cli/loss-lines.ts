import type { PossibleLoss } from "../member/possible-losses.ts";

/** What a promotion would lose of one database, and who has more. */
export function lossLines({
  database,
  received,
  time,
  ageSeconds,
  transactions,
  seconds,
  ahead,
}: PossibleLoss): string[] {
  const span = seconds === null ? "" : ` of ${Math.round(seconds)} s`;
  const lost = transactions === null ? "nobody knows how much" : `${transactions} transactions${span}`;
  const age = ageSeconds === null ? "" : `, ${Math.round(ageSeconds)} s ago`;
  const last = `received last ${received ?? "nothing"}${time === null ? "" : `, cut ${time}${age}`}`;
  return [
    `${database}: ${lost}; ${last}`,
    ...ahead.map((other) => `  ${other.member} has ${other.transactions} transactions more`),
  ];
}

/** What a health check may be asked about: `?database=NAME`, `?lag=10s` or `?lag=100`. */
import { parseDuration } from "../config/quantities.ts";

export interface HealthQuery {
  /** Only this one; null for all of the member's. */
  readonly database: string | null;
  readonly lag: LagLimit | null;
}

/** The most that a mirror may be behind. */
export type LagLimit =
  /** What it is proved to hold may be so old. */
  { readonly kind: "age"; readonly seconds: number } | { readonly kind: "transactions"; readonly count: number };

/** The query, or one sentence about what is wrong with it. What is not known is left out, as Patroni does. */
export function parseHealthQuery(query: Readonly<Record<string, unknown>>): HealthQuery | string {
  const { database = null, lag = null } = query;
  if (database !== null && typeof database !== "string") return "database is given twice";
  if (lag === null) return { database, lag };
  const limit = typeof lag === "string" ? parseLag(lag) : null;
  if (limit !== null) return { database, lag: limit };
  return "lag is a duration, such as 10s, or a number of transactions, such as 100; it is not counted in bytes";
}

function parseLag(text: string): LagLimit | null {
  if (/^\d{1,15}$/.test(text)) return { kind: "transactions", count: Number(text) };
  const ms = parseDuration(text);
  return ms === null ? null : { kind: "age", seconds: ms / 1000 };
}

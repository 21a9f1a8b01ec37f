/**
 * The health checks: what a load balancer or a supervisor asks, decided from what is known now.
 *
 * Guarantee: `primary` holds only where this member reigns, has finished taking over, and its databases are known to take
 * writes. It does not ask how capture is doing: that replication has a fault is no reason to keep applications from
 * their database. A mirror without news grows older and fails a limit on lag, instead of looking healthy.
 */
import type { DatabaseStatus, MemberStatus } from "../status/member-status.ts";
import type { HealthQuery, LagLimit } from "./health-query.ts";
import type { HealthFacts } from "./health-source.ts";

/** Why a check fails, in one sentence; null when it holds. */
type Verdict = string | null;
type HealthCheck = (facts: HealthFacts, query: HealthQuery) => Verdict;

/** A mirror is ready below this when the request names no limit. */
const READY_LAG: LagLimit = { kind: "age", seconds: 30 };
/** How long ago a mirror may have heard of the operational member's end when transactions are counted. */
const NEWS_MAX_AGE_SECONDS = 15;
/** What restarting the daemon may help against. */
const HANGING = new Set(["CAPTURE_STALLED", "INTEGRATION_STALLED", "SHIPPING_STALLED"]);

const primary: HealthCheck = ({ status, serves, writable }, { database }) => {
  if (serves !== "operational") return `${status.member} is ${serves === "mirror" ? "a mirror" : "fenced"}`;
  const asked = database === null ? [...writable] : [[database, writable.get(database) ?? false] as const];
  return about(
    asked.filter(([, isWritable]) => !isWritable).map(([name]) => name),
    "not open for writes",
  );
};

const replica: HealthCheck = ({ status, serves, inconsistent }, { database, lag }) => {
  if (serves !== "mirror") return `${status.member} is ${serves}`;
  const asked = chosen(status.databases, database);
  const missing = asked.filter(([, { integrated }]) => integrated === null).map(([name]) => name);
  const wrong = asked.map(([name]) => name).filter((name) => inconsistent.has(name));
  const late = lag === null ? [] : asked.filter(([, each]) => !isWithin(status, each, lag)).map(([name]) => name);
  return (
    about(missing, "not here yet") ?? about(wrong, "inconsistent") ?? about(late, "not proved to be within the limit")
  );
};

const readOnly: HealthCheck = (facts, query) => (facts.serves === "operational" ? null : replica(facts, query));

const health: HealthCheck = ({ status }, { database }) => {
  const [first] = status.errors;
  if (first !== undefined) return first.code;
  const wrong = chosen(status.databases, database).filter(([, { error }]) => error !== null);
  return about(
    wrong.map(([name, { error }]) => `${name} (${error?.code ?? ""})`),
    "in error",
  );
};

const liveness: HealthCheck = ({ status }) => {
  const views = [...Object.values(status.databases), ...Object.values(status.followers)].map(({ error }) => error);
  return views.find((error) => error !== null && HANGING.has(error.code))?.code ?? null;
};

const readiness: HealthCheck = (facts, query) =>
  facts.serves === "operational" ? primary(facts, query) : replica(facts, { ...query, lag: query.lag ?? READY_LAG });

/** By path; several names for one check are Patroni's. */
export const HEALTH_CHECKS: ReadonlyMap<string, HealthCheck> = new Map([
  ["/", primary],
  ["/primary", primary],
  ["/read-write", primary],
  ["/leader", primary],
  ["/replica", replica],
  ["/async", replica],
  ["/asynchronous", replica],
  ["/read-only", readOnly],
  ["/health", health],
  ["/liveness", liveness],
  ["/readiness", readiness],
]);

function chosen(databases: Readonly<Record<string, DatabaseStatus>>, name: string | null): [string, DatabaseStatus][] {
  return Object.entries(databases).filter(([each]) => name === null || each === name);
}

function isWithin(status: MemberStatus, database: DatabaseStatus, limit: LagLimit): boolean {
  const { staleSeconds = null, lagTransactions } = database;
  if (limit.kind === "age") return staleSeconds !== null && staleSeconds <= limit.seconds;
  // A number of transactions says nothing when nobody says any more how many there are.
  const isHeard = (status.upstreamAgeSeconds ?? Number.POSITIVE_INFINITY) <= NEWS_MAX_AGE_SECONDS;
  return isHeard && lagTransactions !== null && lagTransactions <= limit.count;
}

function about(names: readonly string[], what: string): Verdict {
  const [first] = names;
  if (first === undefined) return null;
  return names.length === 1 ? `${first} is ${what}` : `${first} and ${names.length - 1} more are ${what}`;
}

/**
 * Process: a reader on a mirror. Argument: the database's path. It opens the database read-only, as a report or a website would.
 *
 * It looks at the newest orders every few milliseconds, which gives the lag from commit to visible, and checks every
 * invariant at a lower rate. Nothing may ever go backwards.
 */
import Database from "better-sqlite3";
import type { ReaderReport } from "./demo-messages.ts";
import { LagHistogram } from "./lag-histogram.ts";
import { OrderAudit } from "./order-audit.ts";
import { runReportingChild } from "./reporting-child.ts";

const POLL_MS = 3;
const BUSY_TIMEOUT_MS = 5_000;
const CHECK_INTERVAL_MS = 200;
/** A check over a grown database may take this share of the time: readers are not the load that is shown. */
const CHECK_SHARE = 0.1;
const PROBLEMS_KEPT = 10;

const [path = ""] = process.argv.slice(2);
const db = new Database(path, { readonly: true, timeout: BUSY_TIMEOUT_MS });
const audit = new OrderAudit(db);
const lag = new LagHistogram();
const recentLag = new LagHistogram();
const problems: string[] = [];
let seen = audit.glimpse(Number.MAX_SAFE_INTEGER);
let reads = 1;
let checks = 0;
let readErrors = 0;
let nextCheckMs = 0;

runReportingChild({
  step: () => {
    read(glimpse);
    if (performance.now() >= nextCheckMs) read(check);
    return POLL_MS;
  },
  report: ({ final }): ReaderReport => {
    const recentLagMs = recentLag.percentiles();
    recentLag.clear();
    const { commits, orders } = seen;
    return { final, commits, orders, reads, checks, readErrors, problems, recentLagMs, lagMs: lag.percentiles() };
  },
  close: () => db.close(),
});

function glimpse(): string[] {
  const now = audit.glimpse(seen.orders);
  const visibleAtMs = Date.now();
  const found: string[] = [];
  if (now.commits < seen.commits) found.push(`commits went back from ${seen.commits} to ${now.commits}`);
  if (now.orders < seen.orders) found.push(`orders went back from ${seen.orders} to ${now.orders}`);
  if (now.committedAtMs.length !== Math.max(0, now.orders - seen.orders)) found.push("the orders have a hole");
  for (const committedAtMs of now.committedAtMs) {
    lag.add(visibleAtMs - committedAtMs);
    recentLag.add(visibleAtMs - committedAtMs);
  }
  seen = now;
  return found;
}

function check(): string[] {
  const began = performance.now();
  const found = audit.violations();
  const ended = performance.now();
  checks++;
  nextCheckMs = ended + Math.max(CHECK_INTERVAL_MS, (ended - began) / CHECK_SHARE);
  return found;
}

function read(work: () => string[]): void {
  reads++;
  let found: string[];
  try {
    found = work();
  } catch (error) {
    found = [error instanceof Error ? error.message : String(error)];
  }
  if (found.length === 0) return;
  readErrors++;
  problems.push(...found.slice(0, PROBLEMS_KEPT - problems.length));
}

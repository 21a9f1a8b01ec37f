/** The demonstration's application and readers, as load for integration tests. */
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished } from "vitest";
import {
  type ApplicationReport,
  applicationReportSchema,
  type ReaderReport,
  readerReportSchema,
} from "../../src/demo/demo-messages.ts";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { ReportingProcess } from "../../src/demo/managed-process.ts";
import { OrderAudit, type OrderGlimpse } from "../../src/demo/order-audit.ts";
import { untilSet } from "./mirror-set.ts";

export type Application = ReportingProcess<ApplicationReport>;
export type Reader = ReportingProcess<ReaderReport>;

/** Starts the application on the operational database, which it creates, and waits for its first order. */
export async function startApplication(set: DemoSet, ordersPerSecond: number): Promise<Application> {
  const args = [set.databasePath(set.operational), String(ordersPerSecond)];
  const log = join(set.root, "application.log");
  const application = ReportingProcess.fork("application", "demo-application", args, log, applicationReportSchema);
  killAfterTest(application);
  await untilSet(set, "first order", () => (application.latest?.orders ?? 0) > 0 || failed(application));
  return application;
}

/** Starts a reader on a mirror that has its snapshot, and waits for its first report. */
export async function startReader(set: DemoSet, mirror: string, name = "reader"): Promise<Reader> {
  const log = join(set.root, mirror, `${name}.log`);
  const reader = ReportingProcess.fork(name, "demo-reader", [set.databasePath(mirror)], log, readerReportSchema);
  killAfterTest(reader);
  await untilSet(set, `${name} reads ${mirror}`, () => reader.latest !== null || failed(reader));
  return reader;
}

/** Stops the reader, which must have read, and must never have seen anything wrong. */
export async function expectCleanReader(reader: Reader): Promise<void> {
  const last = await reader.stop();
  if (last === null) throw new Error(`${reader.name} failed: ${reader.logTail()}`);
  expect(last.problems).toEqual([]);
  expect(last.readErrors).toBe(0);
  expect(last.checks).toBeGreaterThan(0);
}

/** Stops the application and returns its last report. */
export async function stopApplication(application: Application): Promise<ApplicationReport> {
  const last = await application.stop();
  if (last === null) throw new Error(`the application failed: ${application.logTail()}`);
  return last;
}

/** Commits and orders that the database at `path` shows. */
export function lookAtOrders(path: string): Pick<OrderGlimpse, "commits" | "orders"> {
  const db = new Database(path, { readonly: true, timeout: 5_000 });
  try {
    const { commits, orders } = new OrderAudit(db).glimpse(Number.MAX_SAFE_INTEGER);
    return { commits, orders };
  } finally {
    db.close();
  }
}

function failed(child: Application | Reader): false {
  if (child.exit !== null) throw new Error(`${child.name} ended: ${child.logTail()}`);
  return false;
}

function killAfterTest(child: Application | Reader): void {
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
}

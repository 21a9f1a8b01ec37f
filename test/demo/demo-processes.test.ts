import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { applicationReportSchema, readerReportSchema } from "../../src/demo/demo-messages.ts";
import { ReportingProcess } from "../../src/demo/managed-process.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

function startApplication(directory: string, ordersPerSecond: number) {
  const args = [join(directory, "shop.db"), String(ordersPerSecond)];
  const log = join(directory, "application.log");
  const child = ReportingProcess.fork("application", "demo-application", args, log, applicationReportSchema);
  onTestFinished(() => child.kill("SIGKILL"));
  return child;
}

function startReader(directory: string) {
  const args = [join(directory, "shop.db")];
  const child = ReportingProcess.fork("reader", "demo-reader", args, join(directory, "reader.log"), readerReportSchema);
  onTestFinished(() => child.kill("SIGKILL"));
  return child;
}

test("a reader follows the application to its last commit and finds nothing wrong", async () => {
  const directory = temporaryDirectory();
  const application = startApplication(directory, 300);
  await waitUntil(() => (application.latest?.orders ?? 0) > 0, { what: "first order", stalledAfterMs: 20_000 });
  const reader = startReader(directory);
  await waitUntil(() => (reader.latest?.orders ?? 0) > 700, { what: "700 orders", stalledAfterMs: 20_000 });
  const last = await application.stop();
  await waitUntil(() => reader.latest?.commits === last?.committed, { what: "last commit", stalledAfterMs: 20_000 });
  const seen = await reader.stop();
  expect(seen).toMatchObject({ final: true, orders: last?.orders, readErrors: 0, problems: [] });
  expect(seen?.checks).toBeGreaterThan(2);
  expect(seen?.lagMs).not.toBeNull();
  expect([application.exit?.code, reader.exit?.code]).toEqual([0, 0]);
});

test("a reader reports a broken invariant and a step back", async () => {
  const directory = temporaryDirectory();
  const application = startApplication(directory, 200);
  await waitUntil(() => (application.latest?.orders ?? 0) > 50, { what: "50 orders", stalledAfterMs: 20_000 });
  await application.stop();
  const reader = startReader(directory);
  await waitUntil(() => (reader.latest?.checks ?? 0) > 0, { what: "first check", stalledAfterMs: 20_000 });
  const vandal = new Database(join(directory, "shop.db"));
  vandal.exec("UPDATE counters SET commits = commits - 3; UPDATE product SET stock = stock + 1 WHERE id = 1");
  vandal.close();
  await waitUntil(() => (reader.latest?.problems.length ?? 0) > 1, { what: "two problems", stalledAfterMs: 20_000 });
  const problems = (await reader.stop())?.problems.join("; ");
  expect(problems).toMatch(/commits went back/);
  expect(problems).toMatch(/stock and sold pieces/);
});

test("a process that fails is seen to end, with its words", async () => {
  const reader = startReader(temporaryDirectory());
  expect(await reader.exited).toEqual({ code: 1, signal: null });
  expect(reader.latest).toBeNull();
  expect(reader.logTail()).toMatch(/unable to open database file/);
});

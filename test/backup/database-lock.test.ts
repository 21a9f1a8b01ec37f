/** The lock between integration and backups, held by processes that are killed. */
import { setImmediate as turn } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { DatabaseLock } from "../../src/backup/database-lock.ts";
import { type RunningChild, startChild } from "../support/child-process.ts";
import { runLockContentionScenario } from "../support/lock-contention-scenario.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

function openLock(state: string): DatabaseLock {
  const lock = DatabaseLock.open(state, "clinic");
  onTestFinished(() => lock.close());
  return lock;
}

async function startHolder(state: string, kind: "integration" | "batches" | "backup"): Promise<RunningChild> {
  const child = startChild(new URL("lock-process.ts", import.meta.url), [state, kind]);
  await child.line((line) => line === "held");
  return child;
}

test("a backup that runs keeps integration off, and frees the database when it is killed", async () => {
  const state = temporaryDirectory();
  const backup = await startHolder(state, "backup");
  const lock = openLock(state);
  expect(lock.tryIntegrate()).toBe(false);
  expect(lock.holder("backup")).toMatchObject({ kind: "backup", pid: backup.pid });
  await backup.kill();
  expect(lock.tryIntegrate()).toBe(true);
});

test("an integration that runs refuses a backup, by name, and frees the database when it is killed", async () => {
  const state = temporaryDirectory();
  const integration = await startHolder(state, "integration");
  const lock = openLock(state);
  await expect(lock.beginBackup()).rejects.toMatchObject({
    code: "BACKUP_WHILE_INTEGRATING",
    message: expect.stringContaining(`process ${integration.pid}`),
  });
  const waiting = lock.beginBackup({ waitMs: null });
  await integration.kill();
  await waiting;
  expect(openLock(state).tryIntegrate()).toBe(false);
});

test("a refused backup leaves nothing locked", async () => {
  const state = temporaryDirectory();
  const batch = openLock(state);
  expect(batch.tryIntegrate()).toBe(true);
  await expect(openLock(state).beginBackup()).rejects.toMatchObject({ code: "BACKUP_WHILE_INTEGRATING" });
  batch.freeDatabase();
  expect(batch.tryIntegrate()).toBe(true);
  batch.freeDatabase();
  await openLock(state).beginBackup();
});

test("a backup gets its turn among batches that follow each other without a pause", async () => {
  const state = temporaryDirectory();
  const integration = await startHolder(state, "batches");
  const lock = openLock(state);
  await lock.beginBackup();
  await integration.line((line) => line === "waits");
  lock.freeDatabase();
  expect(lock.holder("integration")?.pid).toBe(integration.pid);
});

test("no batch begins while a backup waits for the one at work", async () => {
  const state = temporaryDirectory();
  const [batch, another, backup] = [openLock(state), openLock(state), openLock(state)];
  expect(batch.tryIntegrate()).toBe(true);
  const waiting = backup.beginBackup({ waitMs: null });
  // It has announced itself by now.
  await turn();
  batch.freeDatabase();
  expect(another.tryIntegrate()).toBe(false);
  await waiting;
  expect(batch.tryIntegrate()).toBe(false);
  backup.freeDatabase();
  expect(batch.tryIntegrate()).toBe(true);
});

test("only one backup of a database runs, also after it has read the database; another one may wait", async () => {
  const state = temporaryDirectory();
  const holder = await startHolder(state, "backup");
  const lock = openLock(state);
  await expect(lock.beginBackup()).rejects.toMatchObject({
    code: "BACKUP_RUNNING",
    message: expect.stringContaining(`process ${holder.pid}`),
  });
  const waiting = lock.beginBackup({ waitMs: 60_000 });
  await holder.kill();
  await waiting;
  lock.freeDatabase();
  await expect(openLock(state).beginBackup()).rejects.toMatchObject({ code: "BACKUP_RUNNING" });
  lock.close();
  await openLock(state).beginBackup();
});

test("databases are locked by themselves", async () => {
  const state = temporaryDirectory();
  await openLock(state).beginBackup();
  using other = DatabaseLock.open(state, "billing");
  expect(other.tryIntegrate()).toBe(true);
});

test("a backup that waits ends with its signal", async () => {
  const state = temporaryDirectory();
  await openLock(state).beginBackup();
  const stop = new AbortController();
  const waiting = openLock(state).beginBackup({ waitMs: null, signal: stop.signal });
  stop.abort(new Error("stopped"));
  await expect(waiting).rejects.toThrow("stopped");
});

test("processes that are killed while they contend for a database leave it to the others", async ({ signal }) => {
  await runLockContentionScenario({ kills: 15, signal });
});

import { copyFileSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { compareDatabases, integrityCheck, settleDatabase } from "../../src/demo/compare-databases.ts";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { countEntries, EntryWriter, stopWriters } from "../support/entries.ts";
import { readEvents } from "../support/events.ts";
import { CHAIN, createSet, killDaemon, OPERATIONAL, untilSet } from "../support/mirror-set.ts";
import {
  addTenant,
  copies,
  keepCopy,
  listed,
  removeTenant,
  tenantName,
  tenantPath,
  untilTenants,
  useTenants,
} from "../support/tenants.ts";

function addRows(path: string, writer: string, count: number): void {
  const db = new Database(path);
  const insert = db.prepare("INSERT INTO entry VALUES (?, ?, randomblob(200))");
  for (let number = 1; number <= count; number++) insert.run(writer, number);
  db.close();
}

function notes(set: DemoSet, member: string, tenant: string): string[] {
  return readEvents(set, member)
    .filter(({ code, database }) => /^DATABASE_/.test(code) && database === tenantName(tenant))
    .map(({ code }) => code);
}

async function stopAndCompareTenants(set: DemoSet, tenants: readonly string[]): Promise<void> {
  expect((await set.stopDaemons()).map((daemon) => daemon.logTail())).toEqual([]);
  for (const tenant of tenants) {
    const operational = tenantPath(set, OPERATIONAL, tenant);
    settleDatabase(operational);
    for (const { member } of set.mirrors) {
      const mirror = tenantPath(set, member, tenant);
      settleDatabase(mirror);
      expect({ member, tenant, ...compareDatabases(operational, mirror) }).toMatchObject({ identical: true });
      expect(integrityCheck(mirror)).toBe("ok");
    }
  }
}

test("databases appear, disappear and come back on every member of a chain, and the others do not notice", async () => {
  const set = createSet(CHAIN);
  useTenants(set);
  for (const { member } of set.members) set.startDaemon(member);
  await untilTenants(set, []);

  const north = addTenant(set, "north");
  addTenant(set, "south");
  const writer = EntryWriter.start("better-sqlite3", addTenant(set, "busy"), "ana", 5);
  const startedMs = performance.now();
  await untilSet(set, "the operational member has them", () => listed(set, OPERATIONAL).length === 3);
  console.log(`taken up after ${(performance.now() - startedMs).toFixed(0)} ms`);
  addRows(north, "bento", 50);
  await untilSet(set, "north is everywhere", () =>
    set.mirrors.every(({ member }) => set.status(member)?.databases[tenantName("north")]?.lagTransactions === 0),
  );
  await untilSet(set, "its rows are everywhere", () =>
    set.mirrors.every(({ member }) => countEntries(tenantPath(set, member, "north")).bento === 50),
  );

  const kept = keepCopy(set, "north");
  removeTenant(set, "north");
  const others = [tenantName("busy"), tenantName("south")];
  for (const { member } of set.members) {
    await untilSet(set, `${member} lets go of north`, () => listed(set, member).sort().join() === others.join());
    expect([member, notes(set, member, "north")]).toEqual([member, ["DATABASE_ADDED", "DATABASE_REMOVED"]]);
  }
  expect(copies(set, "north")).toEqual(["porto", "faro"]);
  expect(readEvents(set, OPERATIONAL).filter(({ level }) => level === "error")).toEqual([]);

  copyFileSync(kept, `${north}.part`);
  addRows(`${north}.part`, "carla", 30);
  renameSync(`${north}.part`, north);
  const [counted] = await Promise.all([
    stopWriters([writer]),
    untilSet(set, "north is back", () => listed(set, OPERATIONAL).length === 3),
  ]);
  await untilTenants(set, ["north", "south", "busy"]);
  for (const { member } of set.mirrors) {
    expect(countEntries(tenantPath(set, member, "busy"))).toEqual(counted);
    expect(countEntries(tenantPath(set, member, "north"))).toEqual({ bento: 50, carla: 30 });
    // What arrives is taken before the upstream's status is read.
    const all = ["DATABASE_ADDED", "DATABASE_REMOVED", "DATABASE_ADDED"].join();
    await untilSet(set, `${member} says so`, () => notes(set, member, "north").join() === all);
  }
  await stopAndCompareTenants(set, ["north", "south", "busy"]);
});

test("after a restart, also by kill -9, members have the databases that they had before", async () => {
  const set = createSet(CHAIN);
  useTenants(set);
  for (const tenant of ["north", "south", "west"]) addTenant(set, tenant);
  for (const { member } of set.members) set.startDaemon(member);
  await untilTenants(set, ["north", "south", "west"]);
  removeTenant(set, "south");
  await untilTenants(set, ["north", "west"]);

  for (const { member } of set.members) {
    const daemon = set.daemon(member);
    if (daemon !== null) await killDaemon(daemon);
  }
  // West goes while nobody looks.
  removeTenant(set, "west");
  // Behind a member that does not live, a mirror keeps what it had.
  set.startDaemon("faro");
  const isBack = () => set.status("faro")?.state === "waiting";
  await waitUntil(isBack, { what: "faro is back", stalledAfterMs: 30_000, progress: () => "" });
  expect(listed(set, "faro")).toEqual([tenantName("north"), tenantName("west")]);
  set.startDaemon("porto");
  set.startDaemon(OPERATIONAL);
  await untilTenants(set, ["north"]);
  for (const { member } of set.members) {
    expect([member, notes(set, member, "south").filter((code) => code === "DATABASE_REMOVED").length]).toEqual([
      member,
      1,
    ]);
    expect([member, notes(set, member, "west").filter((code) => code === "DATABASE_REMOVED").length]).toEqual([
      member,
      1,
    ]);
  }
  await stopAndCompareTenants(set, ["north"]);
});

test("what is no whole database, or not in WAL mode, is not taken, or is an error; an unreadable directory removes nothing", async () => {
  const set = createSet(CHAIN.slice(0, 2));
  useTenants(set);
  const north = addTenant(set, "north");
  const directory = join(set.root, OPERATIONAL, "tenants");
  writeFileSync(join(directory, "empty.db"), "");
  writeFileSync(join(directory, "text.db"), "this is no database at all, but long enough");
  writeFileSync(join(directory, "bad name.db"), "");
  mkdirSync(join(directory, "directory.db"));
  for (const { member } of set.members) set.startDaemon(member);
  await untilTenants(set, ["north"]);

  const rollback = new Database(join(directory, "rollback.db"));
  rollback.exec("CREATE TABLE t (x)");
  await untilSet(
    set,
    "the error of a database without a WAL",
    () => set.status(OPERATIONAL)?.databases[tenantName("rollback")]?.error?.code === "DATABASE_NOT_WAL",
  );
  rollback.pragma("journal_mode = WAL");
  rollback.close();
  await untilTenants(set, ["north", "rollback"]);

  renameSync(directory, `${directory}.away`);
  await untilSet(set, "the error of the directory", () => (set.status(OPERATIONAL)?.errors.length ?? 0) > 0);
  expect(set.status(OPERATIONAL)?.errors).toMatchObject([{ code: "DATABASES_UNREADABLE" }]);
  expect(listed(set, OPERATIONAL)).toEqual([tenantName("north"), tenantName("rollback")]);
  renameSync(`${directory}.away`, directory);
  await untilSet(set, "the directory is back", () => set.status(OPERATIONAL)?.errors.length === 0);
  addRows(north, "ana", 10);
  await untilSet(
    set,
    "what is committed after that arrives",
    () => countEntries(tenantPath(set, "porto", "north")).ana === 10,
  );
  await untilTenants(set, ["north", "rollback"]);
  const codes = readEvents(set, OPERATIONAL).map(({ code }) => code);
  expect(codes).not.toContain("DATABASE_REMOVED");
  await stopAndCompareTenants(set, ["north", "rollback"]);
});

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import { DATABASE, type DemoSet } from "../../src/demo/demo-set.ts";
import { startSftpDaemons } from "../../src/demo/sftp-mailboxes.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { afterimage, type Ended } from "../cli/afterimage.ts";
import { countEntries, createEntries, EntryWriter, stopWriters } from "../support/entries.ts";
import { readEvents } from "../support/events.ts";
import {
  CHAIN,
  createSet,
  killDaemon,
  MIRROR,
  OPERATIONAL,
  startAll,
  stopAndCompare,
  untilLevel,
  untilSet,
} from "../support/mirror-set.ts";
import { configure } from "../support/tenants.ts";
import { generateKey } from "../transport/ssh-server.ts";

const STALLED_AFTER_MS = 60_000;

function reload(set: DemoSet, member: string): Promise<Ended> {
  return afterimage(["reload", "--json", "--config", set.configPath, "--node", member], { cwd: set.root });
}

function codes(set: DemoSet, member: string): string[] {
  return readEvents(set, member).map(({ code }) => code);
}

function count(set: DemoSet, member: string, code: string): number {
  return codes(set, member).filter((each) => each === code).length;
}

function addEntry(path: string, writer: string): void {
  const db = new Database(path);
  db.prepare("INSERT INTO entry VALUES (?, 1, x'00')").run(writer);
  db.close();
}

test("a reload adds a database to every member, changes the rotation, and takes a database away again", async () => {
  const set = createSet(CHAIN, { rotate: "0 0 3 1 1 *" });
  createEntries(set.databasePath(OPERATIONAL));
  await startAll(set);
  addEntry(set.databasePath(OPERATIONAL), "ana");
  const extra = (member: string) => join(set.root, member, "data", "extra.db");
  createEntries(extra(OPERATIONAL));
  configure(set, (configuration) => {
    configuration.journal.rotate = "continuous";
    for (const { member } of set.members) configuration.members[member].databases.extra = extra(member);
  });
  for (const { member } of set.members) {
    const { code, stdout } = await reload(set, member);
    expect([code, JSON.parse(stdout).changed]).toEqual([
      0,
      ["journal.rotate", ...["faro", "lisbon", "porto"].map((name) => `members.${name}.databases.extra`)],
    ]);
    expect(count(set, member, "CONFIGURATION_RELOADED")).toBe(1);
  }
  await untilLevel(set, countEntries);
  addEntry(extra(OPERATIONAL), "bento");
  for (const { member } of set.mirrors) {
    await untilSet(
      set,
      `${member} has the other database`,
      () => existsSync(extra(member)) && countEntries(extra(member)).bento === 1,
    );
  }
  expect(JSON.parse((await reload(set, OPERATIONAL)).stdout)).toEqual({ changed: [] });

  configure(set, ({ members }) => {
    for (const { member } of set.members) delete members[member].databases.extra;
  });
  // The other way to ask for it.
  for (const { member } of set.members) set.daemon(member)?.kill("SIGHUP");
  for (const { member } of set.members) {
    await untilSet(
      set,
      `${member} lets go of it`,
      () => Object.keys(set.status(member)?.databases ?? {}).join() === DATABASE,
    );
    expect(count(set, member, "DATABASE_REMOVED")).toBe(1);
  }
  await stopAndCompare(set);
  settleDatabase(extra(OPERATIONAL));
  for (const { member } of set.mirrors) {
    settleDatabase(extra(member));
    expect(compareDatabases(extra(OPERATIONAL), extra(member))).toMatchObject({ identical: true });
  }
});

test("a file with faults, and what needs a restart, are refused, and everything goes on as before", async () => {
  const set = createSet(CHAIN);
  createEntries(set.databasePath(OPERATIONAL));
  await startAll(set);
  const daemon = set.daemon(OPERATIONAL);
  configure(set, ({ journal, members }) => {
    journal.rotate = "often";
    members.faro.follows = "coimbra";
  });
  const refused = await reload(set, OPERATIONAL);
  expect(refused.code).toBe(2);
  expect(JSON.parse(refused.stdout).error.faults.map(({ path }: { path: string }) => path)).toEqual([
    "members.faro.follows",
    "journal.rotate",
  ]);
  daemon?.kill("SIGHUP");
  await untilSet(set, "the event", () => count(set, OPERATIONAL, "RELOAD_FAILED") === 1);
  const failed = readEvents(set, OPERATIONAL).find(({ code }) => code === "RELOAD_FAILED");
  expect(failed).toMatchObject({ level: "error", message: expect.stringMatching(/CRON_INVALID journal\.rotate/) });

  configure(set, (configuration) => {
    configuration.mirror = "other";
    configuration.members.lisbon.directory = join(set.root, "elsewhere");
    configuration.members.faro.follows = MIRROR;
    configuration.journal.rotate = "0 0 3 1 1 *";
  });
  const late = await reload(set, OPERATIONAL);
  expect([late.code, JSON.parse(late.stdout).error]).toMatchObject([
    3,
    { code: "RELOAD_NEEDS_RESTART", message: expect.stringMatching(/members\.lisbon\.directory, mirror/) },
  ]);
  expect(count(set, OPERATIONAL, "RELOAD_NEEDS_RESTART")).toBe(1);
  expect(count(set, OPERATIONAL, "CONFIGURATION_RELOADED")).toBe(0);

  addEntry(set.databasePath(OPERATIONAL), "ana");
  await untilLevel(set, countEntries);
  await stopAndCompare(set);
});

test("a mirror-mirror whose middle member is killed follows another member without a new seed", async () => {
  const set = createSet(CHAIN);
  const path = set.databasePath(OPERATIONAL);
  createEntries(path);
  await startAll(set);
  const writers = [EntryWriter.start("better-sqlite3", path, "ana", 10)];
  await untilSet(set, "faro has rows", () => (countEntries(set.databasePath("faro")).ana ?? 0) > 100);
  const middle = set.daemon(MIRROR);
  if (middle === null) throw new Error("no daemon");
  await killDaemon(middle);

  configure(set, ({ members }) => {
    members.faro.follows = OPERATIONAL;
  });
  for (const member of ["faro", OPERATIONAL]) {
    expect(JSON.parse((await reload(set, member)).stdout)).toEqual({ changed: ["members.faro.follows"] });
  }
  // The lease of the member that was killed must have been silent for 30 s.
  const atKill = countEntries(set.databasePath("faro")).ana ?? 0;
  const hasGoneOn = () => (countEntries(set.databasePath("faro")).ana ?? 0) > atKill + 200;
  await waitUntil(hasGoneOn, { what: "faro goes on", stalledAfterMs: STALLED_AFTER_MS });
  expect(set.status("faro")?.follows).toBe(OPERATIONAL);
  expect(count(set, "faro", "MIRROR_CREATED")).toBe(1);
  const segments = await afterimage(["segments", "--json", "--config", set.configPath, "--node", "faro"], {
    cwd: set.root,
  });
  const snapshots = JSON.parse(segments.stdout).segments.filter(({ kind }: { kind: string }) => kind === "snapshot");
  expect(snapshots).toHaveLength(1);

  set.startDaemon(MIRROR);
  await untilSet(set, "porto follows", () => (countEntries(set.databasePath(MIRROR)).ana ?? 0) > atKill + 200);
  const committed = await stopWriters(writers);
  expect(await untilLevel(set, countEntries)).toEqual(committed);
  expect(Object.keys(set.status(MIRROR)?.followers ?? {})).toEqual([]);
  expect(readEvents(set, "faro").filter(({ level }) => level === "error")).toEqual([]);
  await stopAndCompare(set);
});

test("keys and the endpoint change while daemons run", async () => {
  const set = createSet(CHAIN.slice(0, 2));
  createEntries(set.databasePath(OPERATIONAL));
  await startSftpDaemons(set, (what, condition) => untilSet(set, what, condition).then(() => undefined));
  addEntry(set.databasePath(OPERATIONAL), "ana");
  await untilSet(set, "porto has a copy", () => (set.databaseStatus(MIRROR)?.integrated ?? null) !== null);
  await untilLevel(set, countEntries);

  const identity = join(set.root, "another");
  generateKey(identity);
  configure(set, ({ members, ssh }) => {
    ssh.identity = identity;
    for (const { listen } of Object.values<{ listen: { address: string; authorizedKeys: string[] } }>(members)) {
      listen.address = "0.0.0.0";
      listen.authorizedKeys = [readFileSync(`${identity}.pub`, "utf8").trim()];
    }
  });
  const changed = ["lisbon", "porto"].flatMap((name) => [
    `members.${name}.listen.address`,
    `members.${name}.listen.authorizedKeys`,
  ]);
  for (const member of [MIRROR, OPERATIONAL]) {
    expect(JSON.parse((await reload(set, member)).stdout)).toEqual({ changed: [...changed, "ssh.identity"] });
  }
  addEntry(set.databasePath(OPERATIONAL), "bento");
  expect(await untilLevel(set, countEntries)).toEqual({ ana: 1, bento: 1 });
  expect(readFileSync(set.logPath(MIRROR), "utf8").match(/the mailbox can be reached by SFTP/g)).toHaveLength(2);
  await stopAndCompare(set);
});

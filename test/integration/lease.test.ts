import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { ManagedProcess } from "../../src/demo/managed-process.ts";
import { LEASE_FILE, type LeaseRecord, parseLease } from "../../src/member/lease-record.ts";
import { memberStatusSchema } from "../../src/status/member-status.ts";
import { afterimage, PROGRAM } from "../cli/afterimage.ts";
import { countEntries, createEntries } from "../support/entries.ts";
import { readEvents } from "../support/events.ts";
import {
  createSet,
  killDaemon,
  MIRROR,
  OPERATIONAL,
  PAIR,
  startAll,
  stopAndCompare,
  untilLevel,
  untilSet,
} from "../support/mirror-set.ts";

function insertEntries(path: string, from: number, to: number): void {
  const db = new Database(path);
  const insert = db.prepare("INSERT INTO entry VALUES ('ana', ?, randomblob(100))");
  for (let number = from; number <= to; number++) insert.run(number);
  db.close();
}

function leaseOf(set: DemoSet): LeaseRecord | null {
  return parseLease(readFileSync(join(set.mailboxPath(MIRROR), LEASE_FILE), "utf8"));
}

function expectDaemon(set: DemoSet): ManagedProcess {
  const daemon = set.daemon(OPERATIONAL);
  if (daemon === null) throw new Error("the operational member has no daemon");
  return daemon;
}

/** A copy of all that the operational member has, and a configuration with which a daemon works on it. */
function copyOperational(set: DemoSet): { configPath: string; statusPath: string; logPath: string } {
  const original = join(set.root, OPERATIONAL);
  const copy = join(set.root, "copy");
  cpSync(original, copy, { recursive: true, filter: (source) => !source.endsWith(".sock") });
  const configPath = join(set.root, "copy.yaml");
  writeFileSync(configPath, readFileSync(set.configPath, "utf8").replaceAll(`${original}/`, `${copy}/`));
  return { configPath, statusPath: join(copy, "mailbox", "status.json"), logPath: join(copy, "daemon.log") };
}

function startCopy({ configPath, logPath }: { configPath: string; logPath: string }): ManagedProcess {
  const args = [PROGRAM, "run", "--config", configPath, "--node", OPERATIONAL];
  const daemon = ManagedProcess.start("copy", process.execPath, args, logPath);
  onTestFinished(async () => {
    daemon.kill("SIGKILL");
    await daemon.exited;
  });
  return daemon;
}

/** What is wrong with a member, by its status document; nothing before there is one of its own run. */
function errorsOf(statusPath: string, formerRun: string | undefined): string[] {
  const { run, errors } = memberStatusSchema.parse(JSON.parse(readFileSync(statusPath, "utf8")));
  return run?.session === formerRun ? [] : errors.map(({ code }) => code);
}

test("a copy of a member's state is kept out of the mailbox, also when the member stops, and kill -9 costs it nothing", async () => {
  const set = createSet(PAIR);
  const path = set.databasePath(OPERATIONAL);
  createEntries(path);
  await startAll(set);
  insertEntries(path, 1, 5);
  await untilLevel(set, countEntries);
  const first = leaseOf(set);
  expect(first).toMatchObject({ mirror: "demo", member: OPERATIONAL, epoch: 1, released: false });

  await killDaemon(expectDaemon(set));
  expect(leaseOf(set)).toEqual(first);
  const copy = copyOperational(set);
  const former = set.status(OPERATIONAL)?.run?.session;
  set.startDaemon(OPERATIONAL);
  insertEntries(path, 6, 10);
  await untilLevel(set, countEntries);
  const second = leaseOf(set);
  expect(second?.session).not.toBe(first?.session);
  expect(second?.instance).toBe(first?.instance);

  const copied = startCopy(copy);
  await untilSet(set, "the copy is refused", () => errorsOf(copy.statusPath, former).includes("STATE_SET_BACK"));
  const shown = await afterimage(["status", "--config", copy.configPath, "--node", OPERATIONAL], { cwd: set.root });
  expect(shown).toMatchObject({ code: 1, stdout: expect.stringContaining("STATE_SET_BACK") });
  insertEntries(path, 11, 15);
  await untilLevel(set, countEntries);
  expect(leaseOf(set)?.session).toBe(second?.session);
  const codes = readEvents(set, OPERATIONAL).map(({ code }) => code);
  expect(codes.filter((code) => code.startsWith("LEASE"))).toEqual([]);

  await expectDaemon(set).terminate();
  expect(leaseOf(set)).toMatchObject({ session: second?.session, released: true });
  await copied.terminate();
  expect(leaseOf(set)?.session).toBe(second?.session);
  await stopAndCompare(set);
});

/** Work that takes a while, shown while it goes on: by status, in events, and by the command that waits for it. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { DatabaseLock } from "../../src/backup/database-lock.ts";
import { DATABASE, type DemoSet } from "../../src/demo/demo-set.ts";
import { afterimage, startAfterimage } from "../cli/afterimage.ts";
import { readEvents, type SeenEvent } from "../support/events.ts";
import { createSet, MIRROR, OPERATIONAL, PAIR, startAll, untilReadable, untilSet } from "../support/mirror-set.ts";
import { sftpMailboxes } from "../support/sftp-mailboxes.ts";

const MIB = 2 ** 20;

function command(set: DemoSet, member: string, ...args: string[]): string[] {
  return [...args, "--config", set.configPath, "--node", member];
}

/** Of random bytes, which nothing makes smaller. */
function createLarge(set: DemoSet, mebibytes: number): void {
  const db = new Database(set.databasePath(OPERATIONAL));
  db.exec("PRAGMA journal_mode = WAL; CREATE TABLE scan (image BLOB)");
  for (let i = 0; i < mebibytes; i++) db.prepare("INSERT INTO scan VALUES (randomblob(?))").run(MIB);
  db.close();
}

function eventsOf(set: DemoSet, member: string, prefix: string): SeenEvent[] {
  return readEvents(set, member).filter(({ code }) => code.startsWith(prefix));
}

async function statusShows(set: DemoSet, pattern: RegExp): Promise<string> {
  return await untilSet(set, `status shows ${pattern}`, async () => {
    const { stdout } = await afterimage(command(set, OPERATIONAL, "status"), { cwd: set.root });
    return pattern.exec(stdout)?.[0] ?? null;
  });
}

test("a seed and a rebuild over a narrow line show their rate and the time left, on both machines and in events", async () => {
  const set = createSet(PAIR);
  set.configure(await sftpMailboxes(set, [OPERATIONAL, MIRROR], { [MIRROR]: { bandwidth: "600KiB" } }));
  createLarge(set, 4);
  for (const { member } of set.members) set.startDaemon(member);
  const line = `^${MIRROR}/${DATABASE}: seed, receiving: \\d+ %, [\\d.]+ .iB of [\\d.]+ MiB, [\\d.]+ .?i?B a second, some \\d+ s left$`;
  await statusShows(set, new RegExp(line, "m"));
  await untilReadable(set, MIRROR);
  const seed = eventsOf(set, MIRROR, "SEED_");
  const codes = seed.map(({ code }) => code);
  expect([codes[0], codes.at(-1)]).toEqual(["SEED_STARTED", "SEED_FINISHED"]);
  expect(new Set(codes.slice(1, -1))).toEqual(new Set(["SEED_PROGRESS"]));
  expect(codes.length).toBeLessThan(30);
  expect(seed.at(-1)?.data).toMatchObject({
    bytes: statSync(set.databasePath(MIRROR)).size,
    seconds: expect.any(Number),
  });

  const rebuild = await afterimage(
    command(set, MIRROR, "rebuild", DATABASE, "--method", "snapshot", "--yes", "--json"),
    { cwd: set.root },
  );
  expect(rebuild.code).toBe(0);
  const shown = rebuild.stderr.split("\n").filter((text) => text.startsWith('{"progress"'));
  const receiving = shown.map((text) => JSON.parse(text).progress).filter(({ step }) => step === "receiving");
  expect(receiving.some(({ bytesPerSecond, secondsLeft }) => bytesPerSecond > 0 && secondsLeft > 0)).toBe(true);
  const resync = eventsOf(set, MIRROR, "RESYNC");
  expect(resync.map(({ code }) => code)).toEqual(
    expect.arrayContaining(["RESYNC_BEGUN", "RESYNC_PROGRESS", "RESYNCED"]),
  );
  expect(resync.at(-1)).toMatchObject({
    code: "RESYNCED",
    data: { seconds: expect.any(Number), perSecond: expect.any(Number) },
  });
  await untilSet(set, "nothing is shown any more", () => set.status(MIRROR)?.activities === undefined);
});

test("a backup and a restore, which are processes of their own, are shown by the daemon beside them", async () => {
  const set = createSet(PAIR);
  createLarge(set, 32);
  await startAll(set);
  const lock = DatabaseLock.open(set.statePath(MIRROR), DATABASE);
  onTestFinished(() => lock.close());
  await lock.beginBackup();
  const backup = startAfterimage(command(set, MIRROR, "backup", "--wait", "5m", "--json"), { cwd: set.root });
  await statusShows(set, new RegExp(`^${MIRROR}/${DATABASE}: backup, waiting: `, "m"));
  lock.close();
  expect(await backup.ended).toMatchObject({ code: 0 });
  const backups = eventsOf(set, MIRROR, "BACKUP_").map(({ code }) => code);
  expect([backups[0], backups.at(-1)]).toEqual(["BACKUP_STARTED", "BACKUP_FINISHED"]);

  const to = join(set.root, "restored.db");
  const restore = startAfterimage(command(set, MIRROR, "restore", DATABASE, "--to", to, "--json"), { cwd: set.root });
  const { stderr } = restore.child;
  if (stderr === null) throw new Error("no standard error");
  // It stands still for as long as makes it worth mentioning.
  createInterface(stderr).once("line", async () => {
    restore.child.kill("SIGSTOP");
    await delay(1_200);
    restore.child.kill("SIGCONT");
  });
  expect(await restore.ended).toMatchObject({ code: 0 });
  const restores = eventsOf(set, MIRROR, "RESTORE_");
  expect([restores[0]?.code, restores.at(-1)?.code]).toEqual(["RESTORE_STARTED", "RESTORE_FINISHED"]);
  expect(restores.at(-1)?.data).toMatchObject({ bytes: expect.any(Number), seconds: expect.any(Number) });
});

test("work whose process was killed is said to have stopped, and is shown no longer", async () => {
  const set = createSet(PAIR);
  createLarge(set, 1);
  await startAll(set);
  const lock = DatabaseLock.open(set.statePath(MIRROR), DATABASE);
  onTestFinished(() => lock.close());
  await lock.beginBackup();
  const backup = startAfterimage(command(set, MIRROR, "backup", "--wait", "5m"), { cwd: set.root });
  await statusShows(set, new RegExp(`^${MIRROR}/${DATABASE}: backup, waiting: `, "m"));
  backup.child.kill("SIGKILL");
  await backup.ended;
  await untilSet(set, "it is shown no longer", () => set.status(MIRROR)?.activities === undefined);
  expect(eventsOf(set, MIRROR, "BACKUP_").at(-1)).toMatchObject({ code: "BACKUP_STOPPED", level: "warn" });
});

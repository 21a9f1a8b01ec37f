import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import type { Member } from "../../src/member/member.ts";
import {
  addVisits,
  CLINIC,
  createClinic,
  databasePath,
  type JournalKeys,
  openMember,
  segmentsPath,
} from "../support/members.ts";
import { mountSmallFileSystem } from "../support/small-file-system.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MIB = 2 ** 20;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A set of two members that serve in this process, with a clock that the test moves. */
class Pair {
  readonly root: string;
  readonly #journal: JournalKeys;
  readonly #stops = new Map<string, () => Promise<void>>();
  readonly members = new Map<string, Member>();
  #aheadMs = 0;

  constructor(journal: JournalKeys, root = temporaryDirectory()) {
    this.root = root;
    this.#journal = { rotate: "continuous", snapshot: "off", ...journal };
    onTestFinished(() => this.stopAll());
  }

  later(milliseconds: number): void {
    this.#aheadMs += milliseconds;
  }

  async start(name: string): Promise<Member> {
    const member = await openMember(this.root, name, () => Date.now() + this.#aheadMs, this.#journal);
    const stop = new AbortController();
    const running = member.run(stop.signal);
    this.members.set(name, member);
    this.#stops.set(name, async () => {
      stop.abort();
      await running;
      await member.close();
    });
    return member;
  }

  async stop(name: string): Promise<void> {
    await this.#stops.get(name)?.();
    this.#stops.delete(name);
    this.members.delete(name);
  }

  async stopAll(): Promise<void> {
    for (const name of [...this.#stops.keys()]) await this.stop(name);
  }

  /** Waits until porto holds all that is committed on lisbon now. */
  async level(): Promise<void> {
    const [rotated] = (await this.members.get("lisbon")?.rotate()) ?? [];
    const end = rotated?.position ?? "";
    await until("porto is level", () => {
      const { txid } = this.members.get("porto")?.context.store.database(CLINIC)?.integrated ?? {};
      return txid !== undefined && txid >= BigInt(`0x${end.split(":")[1]}`);
    });
  }

  /** Stops both, and compares their databases page by page. */
  async compare(application: Database.Database): Promise<void> {
    application.close();
    await this.stopAll();
    for (const name of ["lisbon", "porto"]) settleDatabase(databasePath(this.root, name));
    const comparison = compareDatabases(databasePath(this.root, "lisbon"), databasePath(this.root, "porto"));
    expect(comparison).toMatchObject({ identical: true });
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  await waitUntil(condition, { what, stalledAfterMs: 30_000, progress: () => "" });
}

function eventCodes(member: Member): string[] {
  return member.context.store.events({ limit: 1_000 }).map((event) => event.code);
}

function files(root: string, member: string): string[] {
  return ["0", "9"].flatMap((level) => {
    const directory = join(segmentsPath(root, member), level);
    return existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : [];
  });
}

function journalBytes(root: string): number {
  return files(root, "lisbon").reduce((sum, path) => sum + statSync(path).size, 0);
}

/** Commits that replace the same rows again and again: the journal grows, the database does not. */
function rewrite(database: Database.Database, commits: number): void {
  const replace = database.prepare("INSERT OR REPLACE INTO visit (id, scan) VALUES (?, randomblob(250000))");
  for (let i = 0; i < commits; i++) replace.run(1 + (i % 4));
}

test("what a member needs stays until it is given up; then it fetches the pages that differ and ends equal", async () => {
  const pair = new Pair({ retention: "1h", giveUpAfter: "2d" });
  const application = createClinic(databasePath(pair.root, "lisbon"));
  const lisbon = await pair.start("lisbon");
  await pair.start("porto");
  await pair.level();
  await until(
    "lisbon knows it",
    () => (lisbon.ownStatus().followers.porto?.databases[CLINIC]?.lagTransactions ?? 1) === 0,
  );
  await lisbon.purge({});
  await pair.stop("porto");

  for (let round = 0; round < 3; round++) {
    pair.later(2 * HOUR_MS);
    addVisits(application, 20);
    await lisbon.rotate();
    expect(await lisbon.snapshotOrEvent(CLINIC)).toBe(true);
  }
  pair.later(2 * DAY_MS - 7 * HOUR_MS);
  const [early] = await lisbon.purge({});
  const needed = lisbon.context.store.segments(CLINIC, { kind: "segment" });
  expect(needed[0]?.minTxid).toBe(2n);
  expect(early?.removed.every((path) => path.includes("/ltx/9/"))).toBe(true);
  expect(eventCodes(lisbon)).not.toContain("MEMBER_GIVEN_UP");

  pair.later(2 * HOUR_MS);
  const [would] = await lisbon.purge({ dryRun: true });
  expect(lisbon.context.store.segments(CLINIC, { kind: "segment" })).toEqual(needed);
  const [late] = await lisbon.purge({});
  expect(late?.removed).toEqual(would?.removed);
  expect(late?.removed.length).toBeGreaterThan(0);
  for (const path of late?.removed ?? []) expect(existsSync(path)).toBe(false);
  expect(lisbon.context.store.segments(CLINIC, { kind: "segment" })).toEqual([]);
  expect(lisbon.ownStatus().journal?.givenUp).toEqual([{ member: "porto", database: CLINIC }]);

  const porto = await pair.start("porto");
  await pair.level();
  expect(eventCodes(porto)).toEqual(expect.arrayContaining(["RESYNC_BEGUN", "RESYNCED"]));
  // The pages became a segment of its journal; no other snapshot came.
  expect(porto.context.store.segments(CLINIC, { kind: "snapshot" })).toHaveLength(1);
  expect(await porto.verify()).toMatchObject([{ ok: true }]);
  await until("it is known to be back", () => {
    void lisbon.purge({});
    return lisbon.ownStatus().journal?.givenUp.length === 0;
  });
  expect(eventCodes(lisbon).filter((code) => code.startsWith("MEMBER_"))).toEqual([
    "MEMBER_GIVEN_UP",
    "MEMBER_RETURNED",
  ]);
  expect(eventCodes(lisbon)).toContain("PURGED");
  expect(await lisbon.verify()).toMatchObject([{ ok: true }]);
  await pair.compare(application);
});

test("a member that is away is still remembered, with its time, after a restart of this one", async () => {
  const pair = new Pair({ retention: "1h", giveUpAfter: "2d" });
  const application = createClinic(databasePath(pair.root, "lisbon"));
  const first = await pair.start("lisbon");
  await pair.start("porto");
  await pair.level();
  await until(
    "lisbon knows it",
    () => (first.ownStatus().followers.porto?.databases[CLINIC]?.lagTransactions ?? 1) === 0,
  );
  await first.purge({});
  await pair.stop("porto");
  rmSync(join(pair.root, "porto", "mailbox", "status.json"));
  addVisits(application, 5);
  await first.rotate();
  pair.later(2 * HOUR_MS);
  await first.snapshotOrEvent(CLINIC);
  await pair.stop("lisbon");

  pair.later(DAY_MS);
  const lisbon = await pair.start("lisbon");
  await lisbon.purge({});
  expect(lisbon.context.store.segments(CLINIC, { kind: "segment" })[0]?.minTxid).toBe(2n);
  pair.later(DAY_MS);
  await lisbon.purge({});
  expect(lisbon.context.store.segments(CLINIC, { kind: "segment" })).toEqual([]);
  expect(eventCodes(lisbon)).toContain("MEMBER_GIVEN_UP");
  await pair.start("porto");
  await pair.level();
  await pair.compare(application);
});

test("at the limit of the journal the application goes on, it is said, and the mirror that was away recovers", async () => {
  const pair = new Pair({ maxBytes: "16MiB" });
  const application = createClinic(databasePath(pair.root, "lisbon"));
  rewrite(application, 4);
  const lisbon = await pair.start("lisbon");
  await pair.start("porto");
  await pair.level();
  await until(
    "lisbon knows it",
    () => (lisbon.ownStatus().followers.porto?.databases[CLINIC]?.lagTransactions ?? 1) === 0,
  );
  await lisbon.purge({});
  await pair.stop("porto");

  let largest = 0;
  for (let round = 0; round < 30; round++) {
    rewrite(application, 8);
    const end = lisbon.context.store.database(CLINIC)?.received?.txid ?? 0n;
    await until("it is cut", () => (lisbon.context.store.database(CLINIC)?.received?.txid ?? 0n) > end);
    largest = Math.max(largest, journalBytes(pair.root));
  }
  expect(largest).toBeLessThanOrEqual(16 * MIB);
  expect(largest).toBeGreaterThan(8 * MIB);
  expect(lisbon.ownStatus().journal).toMatchObject({
    shortages: ["SPOOL_FULL"],
    givenUp: [{ member: "porto", database: CLINIC }],
  });
  const codes = eventCodes(lisbon);
  expect(codes.filter((code) => code === "MEMBER_GIVEN_UP")).toHaveLength(1);
  expect(codes).toContain("SNAPSHOT_WRITTEN");
  expect(codes).toContain("SPOOL_FULL");
  await pair.start("porto");
  await pair.level();
  expect(await lisbon.verify()).toMatchObject([{ ok: true }]);
  await pair.compare(application);
});

/** A journal on a small file system of its own; null where this user may not mount one. */
function journalOnSmallDisk(root: string, bytes: number): string | null {
  const disk = mountSmallFileSystem(bytes);
  if (disk === null) return null;
  mkdirSync(join(root, "lisbon", "state"), { recursive: true });
  symlinkSync(disk.path, join(root, "lisbon", "state", "journal"));
  return disk.path;
}

test("a full journal disk stops the cutting, not the application, and all goes on by itself after space was made", async (context) => {
  const root = temporaryDirectory();
  const disk = journalOnSmallDisk(root, 24 * MIB);
  if (disk === null) return context.skip();
  const pair = new Pair({}, root);
  const application = createClinic(databasePath(root, "lisbon"));
  const lisbon = await pair.start("lisbon");
  await pair.start("porto");
  await pair.level();
  const filler = join(disk, "filler");
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(filler, Buffer.alloc(bavail * bsize - MIB));

  rewrite(application, 40);
  await until("cutting stops", () => lisbon.ownStatus().databases[CLINIC]?.error?.code === "DISK_LOW");
  rewrite(application, 40);
  await until("the WAL is shown to grow", () => (lisbon.ownStatus().databases[CLINIC]?.walBytes ?? 0) > 15 * MIB);
  expect(lisbon.ownStatus().journal?.shortages).toEqual(["DISK_LOW"]);
  await expect(lisbon.rotate()).rejects.toMatchObject({ code: "DISK_LOW" });

  rmSync(filler);
  await until("it is over", () => lisbon.ownStatus().databases[CLINIC]?.error === null);
  await pair.level();
  expect(eventCodes(lisbon)).not.toContain("RESYNC");
  await pair.compare(application);
});

test("a WAL on the very disk that is full is let go of, and a resync bridges what was missed", async (context) => {
  const root = temporaryDirectory();
  const disk = mountSmallFileSystem(48 * MIB);
  if (disk === null) return context.skip();
  mkdirSync(join(disk.path, "journal"));
  mkdirSync(join(root, "lisbon", "state"), { recursive: true });
  symlinkSync(join(disk.path, "journal"), join(root, "lisbon", "state", "journal"));
  symlinkSync(join(disk.path, "clinic.db"), databasePath(root, "lisbon"));
  const pair = new Pair({ minFree: "6MiB" }, root);
  const application = createClinic(databasePath(root, "lisbon"));
  const lisbon = await pair.start("lisbon");
  await pair.start("porto");
  rewrite(application, 8);
  await pair.level();
  const filler = join(disk.path, "filler");
  const { bavail, bsize } = statfsSync(disk.path);
  // Less is left than must stay free, so that not even a snapshot would help.
  writeFileSync(filler, Buffer.alloc(bavail * bsize - 4 * MIB));

  await until("the WAL is let go of", () => {
    rewrite(application, 1);
    return eventCodes(lisbon).includes("WAL_RELEASED");
  });
  // Far more than the disk holds.
  for (let round = 0; round < 50; round++) rewrite(application, 8);
  expect(lisbon.ownStatus().databases[CLINIC]?.error?.code).toBe("DISK_LOW");

  rmSync(filler);
  await until("it is over", () => lisbon.ownStatus().databases[CLINIC]?.error === null);
  await pair.level();
  expect(eventCodes(lisbon)).toContain("RESYNC");
  await pair.compare(application);
});

test("a mirror makes snapshots of its own and purges its own journal", async () => {
  const pair = new Pair({ retention: "1h" });
  const application = createClinic(databasePath(pair.root, "lisbon"));
  await pair.start("lisbon");
  const porto = await pair.start("porto");
  await pair.level();
  for (let round = 0; round < 3; round++) {
    addVisits(application, 20);
    await pair.level();
    expect(await porto.snapshotOrEvent(CLINIC)).toBe(true);
    expect(await porto.snapshotOrEvent(CLINIC)).toBe(false);
    pair.later(2 * HOUR_MS);
  }
  await porto.purge({});
  const kept = porto.context.store.segments(CLINIC, {});
  expect(kept).toMatchObject([{ kind: "snapshot" }]);
  addVisits(application, 20);
  await pair.level();
  expect(await porto.verify()).toMatchObject([{ ok: true }]);
  await pair.compare(application);
});

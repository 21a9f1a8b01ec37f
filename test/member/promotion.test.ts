import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import type { Member } from "../../src/member/member.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import { type MemberStatus, parseMemberStatus } from "../../src/status/member-status.ts";
import { afterimage } from "../cli/afterimage.ts";
import { addVisits, createClinic } from "../support/members.ts";
import { openSetMember, setDatabasePath } from "../support/set-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const VISITS = "visits";
const SHAPE = { mirror: "clinic", databases: [VISITS], members: ["lisbon", "porto", "faro"] };

interface Running {
  readonly member: Member;
  stop(): Promise<void>;
}

/** A member that is served in this process. */
async function start(root: string, name: string, keys: Readonly<Record<string, string>> = {}): Promise<Running> {
  const member = await openSetMember(root, name, SHAPE, { keys });
  const stop = new AbortController();
  const done = member.run(stop.signal);
  let ended: Promise<void> | null = null;
  const end = async () => {
    stop.abort();
    await done;
    await member.close();
  };
  const running = {
    member,
    stop: () => {
      ended ??= end();
      return ended;
    },
  };
  onTestFinished(() => running.stop());
  return running;
}

function path(root: string, member: string): string {
  return setDatabasePath(root, member, "visits");
}

function statusOf(root: string, member: string): MemberStatus | null {
  const file = join(root, member, "mailbox", "status.json");
  return existsSync(file) ? parseMemberStatus(readFileSync(file, "utf8")) : null;
}

async function until(what: string, condition: () => boolean): Promise<void> {
  await waitUntil(() => condition() || null, { what, stalledAfterMs: 30_000, progress: () => "" });
}

function end(member: Member): string {
  const position = member.context.store.database("visits")?.integrated;
  return position == null ? "-" : `${position.epoch}:${position.txid}`;
}

function write(root: string, member: string, count: number): void {
  const database = new Database(path(root, member));
  addVisits(database, count);
  database.close();
}

function codes(member: Member): string[] {
  return member.context.store.events({}).map(({ code }) => code);
}

test("a promoted mirror goes on where it ended, its followers cross into the epoch, and the former one is fenced", async () => {
  const root = temporaryDirectory();
  createClinic(path(root, "lisbon")).close();
  const lisbon = await start(root, "lisbon");
  const porto = await start(root, "porto");
  const faro = await start(root, "faro");
  await until("faro has a first state", () => end(faro.member) !== "-");
  await faro.stop();
  write(root, "lisbon", 20);
  await lisbon.member.rotate();
  await until("porto is level", () => end(porto.member) === end(lisbon.member));
  const last = lisbon.member.context.store.database("visits")?.integrated;
  await lisbon.stop();

  const promoted = await porto.member.promote({ force: "lisbon" });
  expect(promoted).toMatchObject({
    member: "porto",
    epoch: 4,
    from: "lisbon",
    databases: [{ database: "visits", position: expect.stringMatching(/^1:/), ageSeconds: expect.any(Number) }],
    untold: ["lisbon", "faro"],
  });
  expect(porto.member.context.store.role()).toEqual({ role: "operational", epoch: 4 });
  expect(codes(porto.member)).toContain("CAPTURE_CONTINUED");
  expect(codes(porto.member)).not.toContain("RESYNC");

  write(root, "porto", 5);
  await porto.member.rotate();
  const [first] = porto.member.context.store.segments("visits", { epoch: 4 });
  expect(first).toMatchObject({ minTxid: (last?.txid ?? 0n) + 1n, preApplyChecksum: last?.checksum });

  const again = await start(root, "faro");
  await until("faro has crossed into the epoch", () => end(again.member) === end(porto.member));
  expect(again.member.context.store.catalogue.epochs("visits")).toEqual([4, 1]);

  const former = await start(root, "lisbon");
  await until("lisbon is deposed", () => statusOf(root, "lisbon")?.state === "fenced");
  expect(await isFenced(path(root, "lisbon"))).toBe(true);
  expect(former.member.context.store.role()).toEqual({ role: "deposed", epoch: 1, by: 4 });

  for (const { member } of [porto, again]) expect(await member.context.journal.verifyChain("visits")).toEqual([]);
  await again.stop();
  await porto.stop();
  for (const name of ["porto", "faro"]) settleDatabase(path(root, name));
  expect(compareDatabases(path(root, "porto"), path(root, "faro"))).toMatchObject({ identical: true });
  const reader = new Database(path(root, "faro"), { readonly: true });
  expect(reader.prepare("SELECT count(*) FROM visit").pluck().get()).toBe(25);
  reader.close();
}, 120_000);

test("after a promotion a new mirror begins with what there is, and the journal restores every epoch", async () => {
  const root = temporaryDirectory();
  createClinic(path(root, "lisbon")).close();
  const lisbon = await start(root, "lisbon");
  const porto = await start(root, "porto");
  write(root, "lisbon", 7);
  await lisbon.member.rotate();
  await until("porto is level", () => end(porto.member) !== "-" && end(porto.member) === end(lisbon.member));
  const boundary = porto.member.context.store.database("visits")?.integrated;
  await lisbon.stop();
  await porto.member.promote({ force: "lisbon" });
  write(root, "porto", 4);
  await porto.member.rotate();

  const faro = await start(root, "faro");
  await until("faro is level", () => end(faro.member) === end(porto.member));
  expect(faro.member.context.store.catalogue.epochs("visits")).toEqual([4, 1]);
  await faro.member.purge({});
  expect(await faro.member.verify()).toMatchObject([{ ok: true, problems: [] }]);
  expect(await faro.member.snapshot()).toMatchObject([{ database: "visits", written: { pages: expect.any(Number) } }]);
  expect(await faro.member.context.journal.verifyChain("visits")).toEqual([]);
  await faro.stop();
  const counts = [boundary?.txid ?? 0n, undefined].map((txid) => restoredVisits(root, "faro", txid));
  expect(await Promise.all(counts)).toEqual([7, 11]);
}, 120_000);

async function restoredVisits(root: string, member: string, txid?: bigint): Promise<number> {
  const to = join(root, `restored-${txid ?? "newest"}.db`);
  const at = txid === undefined ? [] : ["--txid", txid.toString(16).padStart(16, "0")];
  const args = ["restore", "visits", "--to", to, ...at, "--node", member];
  expect(await afterimage(args, { cwd: root })).toMatchObject({ code: 0 });
  const database = new Database(to, { readonly: true });
  const count = Number(database.prepare("SELECT count(*) FROM visit").pluck().get());
  database.close();
  return count;
}

test("without a daemon a mirror is promoted by the command itself, and its daemon goes on from there", async () => {
  const root = temporaryDirectory();
  createClinic(path(root, "lisbon")).close();
  const lisbon = await start(root, "lisbon");
  const first = await start(root, "porto");
  await until("porto has a first state", () => end(first.member) !== "-");
  await first.stop();
  write(root, "lisbon", 3);
  await lisbon.member.sync({ members: [], timeoutMs: 0 });
  await lisbon.stop();
  const alone = await openSetMember(root, "porto", SHAPE);
  expect(await alone.promote({ force: "lisbon" })).toMatchObject({ epoch: 4, untold: ["lisbon", "faro"] });
  await alone.close();
  write(root, "porto", 2);
  const porto = await start(root, "porto");
  await until("porto captures", () => end(porto.member).startsWith("4:"));
  await porto.member.rotate();
  expect(porto.member.context.store.role()).toEqual({ role: "operational", epoch: 4 });
  await porto.stop();
}, 60_000);

test("a mirror that holds what is in no later epoch stops, says so, and takes nothing of that epoch", async () => {
  const root = temporaryDirectory();
  createClinic(path(root, "lisbon")).close();
  const lisbon = await start(root, "lisbon");
  const porto = await start(root, "porto");
  write(root, "lisbon", 9);
  await lisbon.member.rotate();
  await until("porto is level", () => end(porto.member) !== "-" && end(porto.member) === end(lisbon.member));
  await lisbon.stop();
  const { integrated } = porto.member.context.store.database("visits") ?? {};
  if (integrated == null) throw new Error("porto has nothing");
  const txid = (integrated.txid - 1n).toString(16).padStart(16, "0");
  const promoted = { epoch: 2, member: "faro", reason: "promotion" as const, startedAt: new Date().toISOString() };
  porto.member.roles.learn("faro", [{ ...promoted, starts: { visits: `1:${txid}:80000000000000aa` } }]);
  await until("porto says that it has diverged", () => statusOf(root, "porto")?.state === "inconsistent");
  expect(statusOf(root, "porto")?.databases[VISITS]).toMatchObject({
    integrated: { epoch: 1 },
    error: { code: "DIVERGED", hint: expect.stringContaining("rejoin") },
  });
  expect(porto.member.plan()).toMatchObject({ upstream: "faro", epoch: 2, duty: "mirror" });
}, 60_000);

test("a mirror is not promoted while the operational member lives, by a wrong name, or when it only reports", async () => {
  const root = temporaryDirectory();
  createClinic(path(root, "lisbon")).close();
  await start(root, "lisbon");
  const porto = await start(root, "porto");
  await until("porto has a first state", () => end(porto.member) !== "-");
  await expect(porto.member.promote({})).rejects.toMatchObject({ code: "PROMOTION_ALIVE" });
  await expect(porto.member.promote({ force: "porto" })).rejects.toMatchObject({ code: "PROMOTION_ALIVE" });
  expect(porto.member.context.store.role()).toEqual({ role: "mirror", epoch: 1 });
  const faro = await start(root, "faro", { type: "reporting" });
  await expect(faro.member.promote({ force: "lisbon" })).rejects.toMatchObject({ code: "PROMOTION_TYPE" });
}, 60_000);

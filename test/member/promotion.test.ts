import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import { afterimage } from "../cli/afterimage.ts";
import { createClinic } from "../support/members.ts";
import {
  codesOf,
  endOf,
  publishedStatus,
  SERVED_SET,
  SPOKES,
  served,
  until,
  VISITS,
  visitsPath,
  writeVisits,
} from "../support/served-members.ts";
import { openSetMember } from "../support/set-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

test("a promoted mirror goes on where it ended, its followers cross into the epoch, and the former one is fenced", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon");
  const porto = await served(root, "porto");
  const faro = await served(root, "faro");
  await until("faro has a first state", () => endOf(faro.member) !== "-");
  await faro.stop();
  writeVisits(root, "lisbon", 20);
  await lisbon.member.rotate();
  await until("porto is level", () => endOf(porto.member) === endOf(lisbon.member));
  const last = lisbon.member.context.store.database(VISITS)?.integrated;
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
  expect(codesOf(porto.member)).toContain("CAPTURE_CONTINUED");
  expect(codesOf(porto.member)).not.toContain("RESYNC");

  writeVisits(root, "porto", 5);
  await porto.member.rotate();
  const [first] = porto.member.context.store.segments("visits", { epoch: 4 });
  expect(first).toMatchObject({ minTxid: (last?.txid ?? 0n) + 1n, preApplyChecksum: last?.checksum });

  const again = await served(root, "faro");
  await until("faro has crossed into the epoch", () => endOf(again.member) === endOf(porto.member));
  expect(again.member.context.store.catalogue.epochs(VISITS)).toEqual([4, 1]);

  const former = await served(root, "lisbon");
  await until("lisbon is deposed", () => publishedStatus(root, "lisbon")?.state === "fenced");
  expect(await isFenced(visitsPath(root, "lisbon"))).toBe(true);
  expect(former.member.context.store.role()).toEqual({ role: "deposed", epoch: 1, by: 4 });

  for (const { member } of [porto, again]) expect(await member.context.journal.verifyChain(VISITS)).toEqual([]);
  await again.stop();
  await porto.stop();
  for (const name of ["porto", "faro"]) settleDatabase(visitsPath(root, name));
  expect(compareDatabases(visitsPath(root, "porto"), visitsPath(root, "faro"))).toMatchObject({ identical: true });
  const reader = new Database(visitsPath(root, "faro"), { readonly: true });
  expect(reader.prepare("SELECT count(*) FROM visit").pluck().get()).toBe(25);
  reader.close();
}, 120_000);

test("mirrors that follow the operational member follow the one that was promoted, and the former one learns of it", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const shape = SPOKES;
  const lisbon = await served(root, "lisbon", { shape });
  const porto = await served(root, "porto", { shape });
  const faro = await served(root, "faro", { shape });
  await until("both have a first state", () => [porto, faro].every(({ member }) => endOf(member) !== "-"));
  // It lives, and is reached: everybody learns at once.
  const promoted = await porto.member.promote({ force: "lisbon" });
  expect(promoted.untold).toEqual([]);
  expect(lisbon.member.roles.state).toMatchObject({ role: "deposed", epoch: 1, by: 4 });
  expect(await isFenced(visitsPath(root, "lisbon"))).toBe(true);
  expect(faro.member.plan()).toMatchObject({ upstream: "porto", followers: [], epoch: 4 });
  writeVisits(root, "porto", 6);
  await porto.member.rotate();
  await until("faro follows porto", () => endOf(faro.member) === endOf(porto.member));
  expect(porto.member.plan()).toMatchObject({ upstream: null, followers: ["lisbon", "faro"], duty: "operational" });
}, 60_000);

test("after a promotion a new mirror begins with what there is, and the journal restores every epoch", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon");
  const porto = await served(root, "porto");
  writeVisits(root, "lisbon", 7);
  await lisbon.member.rotate();
  await until("porto is level", () => endOf(porto.member) !== "-" && endOf(porto.member) === endOf(lisbon.member));
  const boundary = porto.member.context.store.database(VISITS)?.integrated;
  await lisbon.stop();
  await porto.member.promote({ force: "lisbon" });
  writeVisits(root, "porto", 4);
  await porto.member.rotate();

  const faro = await served(root, "faro");
  await until("faro is level", () => endOf(faro.member) === endOf(porto.member));
  expect(faro.member.context.store.catalogue.epochs(VISITS)).toEqual([4, 1]);
  await faro.member.purge({});
  expect(await faro.member.verify()).toMatchObject([{ ok: true, problems: [] }]);
  expect(await faro.member.snapshot()).toMatchObject([{ database: "visits", written: { pages: expect.any(Number) } }]);
  expect(await faro.member.context.journal.verifyChain(VISITS)).toEqual([]);
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
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon");
  const first = await served(root, "porto");
  await until("porto has a first state", () => endOf(first.member) !== "-");
  await first.stop();
  writeVisits(root, "lisbon", 3);
  await lisbon.member.sync({ members: [], timeoutMs: 0 });
  await lisbon.stop();
  const alone = await openSetMember(root, "porto", SERVED_SET);
  expect(await alone.promote({ force: "lisbon" })).toMatchObject({ epoch: 4, untold: ["lisbon", "faro"] });
  await alone.close();
  writeVisits(root, "porto", 2);
  const porto = await served(root, "porto");
  await until("porto captures", () => endOf(porto.member).startsWith("4:"));
  await porto.member.rotate();
  expect(porto.member.context.store.role()).toEqual({ role: "operational", epoch: 4 });
  await porto.stop();
}, 60_000);

test("a mirror that holds what is in no later epoch stops, says so, and takes nothing of that epoch", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon");
  const porto = await served(root, "porto");
  writeVisits(root, "lisbon", 9);
  await lisbon.member.rotate();
  await until("porto is level", () => endOf(porto.member) !== "-" && endOf(porto.member) === endOf(lisbon.member));
  await lisbon.stop();
  const { integrated } = porto.member.context.store.database(VISITS) ?? {};
  if (integrated == null) throw new Error("porto has nothing");
  const txid = (integrated.txid - 1n).toString(16).padStart(16, "0");
  const promoted = { epoch: 2, member: "faro", reason: "promotion" as const, startedAt: new Date().toISOString() };
  porto.member.roles.learn("faro", [{ ...promoted, starts: { visits: `1:${txid}:80000000000000aa` } }]);
  await until("porto says that it has diverged", () => publishedStatus(root, "porto")?.state === "inconsistent");
  expect(publishedStatus(root, "porto")?.databases[VISITS]).toMatchObject({
    integrated: { epoch: 1 },
    error: { code: "DIVERGED", hint: expect.stringContaining("afterimage rejoin") },
  });
  expect(porto.member.plan()).toMatchObject({ upstream: "faro", epoch: 2, duty: "mirror" });
}, 60_000);

test("a mirror is not promoted while the operational member lives, by a wrong name, or when it only reports", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon");
  const porto = await served(root, "porto");
  await until("porto has a first state", () => endOf(porto.member) !== "-");
  await expect(porto.member.promote({})).rejects.toMatchObject({ code: "PROMOTION_ALIVE" });
  await expect(porto.member.promote({ force: "porto" })).rejects.toMatchObject({ code: "PROMOTION_ALIVE" });
  expect(porto.member.context.store.role()).toEqual({ role: "mirror", epoch: 1 });
  const faro = await served(root, "faro", { keys: { type: "reporting" } });
  await expect(faro.member.promote({ force: "lisbon" })).rejects.toMatchObject({ code: "PROMOTION_TYPE" });
  const already = { code: "NOT_A_MIRROR", message: expect.stringContaining("lisbon is operational") };
  await expect(lisbon.member.promote({})).rejects.toMatchObject(already);
}, 60_000);

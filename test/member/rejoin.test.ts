/** What leaves a member's journal because no later epoch has it, and what of it is kept. */
import { cpSync, existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import { OpenKeptState } from "../../src/divergence/kept-state.ts";
import { formatPosition } from "../../src/ltx/position.ts";
import type { Member } from "../../src/member/member.ts";
import { afterimage } from "../cli/afterimage.ts";
import { addVisits, createClinic } from "../support/members.ts";
import {
  codesOf,
  endOf,
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

function positions(member: Member): (string | null)[] {
  const { received = null, integrated = null } = member.context.store.database(VISITS) ?? {};
  return [received, integrated].map((position) => (position === null ? null : formatPosition(position)));
}

function txidOf(text: string | null | undefined): string {
  return text?.split(":")[1] ?? "";
}

function keptOf(member: Member): string {
  const directory = join(member.context.self.state, "diverged", VISITS);
  const names = existsSync(directory) ? readdirSync(directory) : [];
  expect(names).toHaveLength(1);
  return join(directory, names[0] ?? "");
}

async function restored(root: string, member: string, directory: string): Promise<string> {
  const to = join(root, "restored.db");
  const args = ["restore", VISITS, "--from", directory, "--to", to, "--node", member];
  const { code, stderr } = await afterimage([...args, "--config", join(root, "afterimage.yaml")], { cwd: root });
  expect([code, stderr]).toEqual([0, ""]);
  return to;
}

function countVisits(path: string): number {
  const database = new Database(path, { readonly: true });
  const count = Number(database.prepare("SELECT count(*) FROM visit").pluck().get());
  database.close();
  return count;
}

test("what a mirror has received beyond an epoch's end, and not integrated, is kept aside, and it goes on", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon", { shape: SPOKES });
  const porto = await served(root, "porto", { shape: SPOKES });
  const faro = await served(root, "faro", { shape: SPOKES });
  writeVisits(root, "lisbon", 10);
  await lisbon.member.rotate();
  for (const { member } of [porto, faro]) await until("level", () => endOf(member) === endOf(lisbon.member));
  await porto.stop();
  const mailbox = join(root, "porto", "mailbox");
  renameSync(mailbox, `${mailbox}.away`);
  await faro.member.pause();
  writeVisits(root, "lisbon", 5);
  await lisbon.member.rotate();
  const end = txidOf(positions(lisbon.member)[0]);
  await until("faro has received it", () => txidOf(positions(faro.member)[0]) === end);
  await lisbon.stop();
  await faro.stop();
  renameSync(`${mailbox}.away`, mailbox);
  const next = await served(root, "porto", { shape: SPOKES });
  await next.member.promote({ force: "lisbon" });
  writeVisits(root, "porto", 3);

  const again = await served(root, "faro", { shape: SPOKES });
  await until("faro has put it aside", () => codesOf(again.member).includes("SURPLUS_KEPT"));
  await again.member.resume();
  await next.member.rotate();
  await until("faro follows porto", () => endOf(again.member) === endOf(next.member));
  expect(codesOf(again.member)).not.toContain("DIVERGED");
  expect(countVisits(await restored(root, "faro", keptOf(again.member)))).toBe(15);
  await again.stop();
  await next.stop();
  expect(countVisits(visitsPath(root, "faro"))).toBe(13);
  const reopened = await openSetMember(root, "faro", SPOKES);
  expect(await reopened.context.journal.verifyChain(VISITS)).toEqual([]);
  await reopened.close();
}, 120_000);

test("a mirror of an epoch in which nothing was committed goes on under the name of the next one", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon");
  const porto = await served(root, "porto");
  await until("porto has a first state", () => endOf(porto.member) !== "-");
  await lisbon.stop();
  const [start = ""] = positions(porto.member);
  const begun = {
    reason: "promotion" as const,
    startedAt: new Date().toISOString(),
    starts: { visits: String(start) },
  };
  porto.member.roles.learn("faro", [{ ...begun, epoch: 3, member: "faro" }]);
  expect(positions(porto.member).map((each) => each?.split(":")[0])).toEqual(["3", "3"]);
  porto.member.roles.learn("lisbon", [{ ...begun, epoch: 4, member: "lisbon" }]);
  await until("porto is in epoch 4", () => endOf(porto.member).startsWith("4:"));
  expect(positions(porto.member)).toEqual([`4${String(start).slice(1)}`, `4${String(start).slice(1)}`]);
  expect(porto.member.context.store.database(VISITS)?.error).toBeNull();
  expect(existsSync(join(root, "porto", "state", "diverged"))).toBe(false);
}, 60_000);

test("what is kept has a snapshot of its own when the journal does not lead to it, and no report when it is damaged", async () => {
  const root = temporaryDirectory();
  const clinic = createClinic(visitsPath(root, "lisbon"));
  const first = await served(root, "lisbon");
  const porto = await served(root, "porto");
  addVisits(clinic, 4);
  await first.member.rotate();
  await until("porto is level", () => endOf(porto.member) === endOf(first.member));
  await first.stop();
  await porto.member.promote({ force: "lisbon" });
  addVisits(clinic, 3);
  // An index in the place of its table: every page is what was written, and SQLite finds fault with them.
  clinic.unsafeMode().pragma("writable_schema = ON");
  clinic.exec("UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'visit')");
  clinic.close();

  const lisbon = await served(root, "lisbon");
  await until("lisbon is deposed", () => lisbon.member.roles.state.role === "deposed");
  const { store, journal } = lisbon.member.context;
  for (const row of store.segments(VISITS, { kind: "snapshot" })) {
    store.removeSegment(row);
    journal.remove(row);
  }
  const { databases } = await lisbon.member.rejoin({});
  expect(databases).toMatchObject([{ state: "rejoined" }]);
  const directory = keptOf(lisbon.member);
  using kept = new OpenKeptState(directory);
  expect(kept.state.files.map(({ kind }) => kind)).toContain("snapshot");
  expect(existsSync(join(directory, "report.txt"))).toBe(false);
  expect(readdirSync(directory).sort()).toEqual(["journal", "kept.json"]);
  expect(lisbon.member.context.store.events({ level: "warn" }).map(({ code }) => code)).toContain("REJOINED");
  await porto.member.rotate();
  await until("lisbon follows", () => endOf(lisbon.member) === endOf(porto.member));
}, 120_000);

test("a rejoin whose report cannot be written says so, and writes it once it can", async () => {
  const root = temporaryDirectory();
  const clinic = createClinic(visitsPath(root, "lisbon"));
  const first = await served(root, "lisbon");
  const porto = await served(root, "porto");
  await until("porto has a first state", () => endOf(porto.member) !== "-");
  await first.stop();
  await porto.member.promote({ force: "lisbon" });
  addVisits(clinic, 3);
  clinic.close();
  const alone = await openSetMember(root, "lisbon", SERVED_SET);
  await alone.rejoin({});
  const directory = keptOf(alone);
  await alone.close();
  rmSync(join(directory, ".restored"), { recursive: true });
  renameSync(join(directory, "kept.json"), join(directory, "away.json"));

  const lisbon = await served(root, "lisbon");
  await expect(lisbon.member.rejoin({})).rejects.toMatchObject({ code: "REJOIN_UNREPORTED" });
  expect(codesOf(lisbon.member).filter((code) => code === "REPORT_FAILED")).toHaveLength(1);
  renameSync(join(directory, "away.json"), join(directory, "kept.json"));
  await lisbon.stop();
  const again = await served(root, "lisbon");
  expect(await again.member.rejoin({})).toMatchObject({ databases: [{ state: "rejoined" }] });
  expect(existsSync(join(directory, "report.txt"))).toBe(true);
}, 120_000);

test("a member that was set back before it rejoins keeps the whole of its state, and gets the pages that it lacks", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const first = await served(root, "lisbon");
  const porto = await served(root, "porto");
  writeVisits(root, "lisbon", 6);
  await first.member.rotate();
  await until("porto is level", () => endOf(porto.member) === endOf(first.member));
  await first.stop();
  const machine = ["lisbon", "lisbon-visits.db"];
  for (const name of machine) cpSync(join(root, name), join(root, "image", name), { recursive: true });
  const second = await served(root, "lisbon");
  writeVisits(root, "lisbon", 7);
  await second.member.rotate();
  await until("porto is level again", () => endOf(porto.member) === endOf(second.member));
  await second.stop();
  for (const name of machine) {
    rmSync(join(root, name), { recursive: true });
    cpSync(join(root, "image", name), join(root, name), { recursive: true });
  }
  await porto.member.promote({ force: "lisbon" });
  writeVisits(root, "porto", 2);

  const lisbon = await served(root, "lisbon");
  await until("lisbon is deposed", () => lisbon.member.roles.state.role === "deposed");
  const { databases } = await lisbon.member.rejoin({});
  expect(databases).toMatchObject([{ database: VISITS, state: "rejoined", fork: null }]);
  using kept = new OpenKeptState(keptOf(lisbon.member));
  expect(kept.state).toMatchObject({ member: "lisbon", operational: "porto", fork: null });
  expect(countVisits(await restored(root, "lisbon", keptOf(lisbon.member)))).toBe(6);
  await porto.member.rotate();
  await until("lisbon follows", () => endOf(lisbon.member) === endOf(porto.member));
  await lisbon.stop();
  await porto.stop();
  for (const member of ["lisbon", "porto"]) settleDatabase(visitsPath(root, member));
  expect(compareDatabases(visitsPath(root, "porto"), visitsPath(root, "lisbon"))).toMatchObject({ identical: true });
}, 120_000);

/** One member of a name, and the newest state that it ever had: whatever else is started is found out. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { StateStore } from "../../src/journal/state-store.ts";
import { LEASE_FILE, parseLease } from "../../src/member/lease-record.ts";
import { MemberRun } from "../../src/member/member-run.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import { createClinic } from "../support/members.ts";
import {
  codesOf,
  endOf,
  SERVED_SET,
  type ServedMember,
  served,
  until,
  untilLevel,
  visitsPath,
  writeVisits,
} from "../support/served-members.ts";
import { openSetMember } from "../support/set-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** Copies all that is of a member, as a machine that is stopped is copied. */
function copyMember(from: string, member: string, to: string): void {
  mkdirSync(to, { recursive: true });
  const names = readdirSync(from).filter((name) => name === member || name.startsWith(`${member}-`));
  for (const name of names) cpSync(join(from, name), join(to, name), { recursive: true, preserveTimestamps: true });
}

function putBack(from: string, member: string, to: string): void {
  for (const name of readdirSync(to)) {
    if (name === member || name.startsWith(`${member}-`)) rmSync(join(to, name), { recursive: true });
  }
  copyMember(from, member, to);
}

/** A second machine with its own files of one member, that reaches the others as they are. */
function secondMachine(root: string, others: readonly string[]): string {
  const second = temporaryDirectory();
  for (const other of others) symlinkSync(join(root, other), join(second, other));
  return second;
}

function errorsOf({ member }: ServedMember): string[] {
  return member.roles.errors.map(({ code }) => code);
}

async function setBack(root: string): Promise<{ lisbon: ServedMember; porto: ServedMember; end: string }> {
  createClinic(visitsPath(root, "lisbon")).close();
  const first = await served(root, "lisbon");
  const porto = await served(root, "porto");
  writeVisits(root, "lisbon", 3);
  await untilLevel(porto, first);
  await first.stop();
  const kept = temporaryDirectory();
  copyMember(root, "lisbon", kept);
  const second = await served(root, "lisbon");
  writeVisits(root, "lisbon", 5);
  await untilLevel(porto, second);
  const end = endOf(porto.member);
  await second.stop();
  putBack(kept, "lisbon", root);
  const lisbon = await served(root, "lisbon");
  await until("lisbon knows that it was set back", () => errorsOf(lisbon).includes("STATE_SET_BACK"));
  return { lisbon, porto, end };
}

test("an operational member that was set back is fenced for good, and another one is promoted without force", async () => {
  const root = temporaryDirectory();
  const { lisbon, porto, end } = await setBack(root);
  expect(lisbon.member.roles.state).toEqual({ role: "deposed", epoch: 1, by: 1 });
  expect(codesOf(lisbon.member)).toContain("STATE_SET_BACK");
  await until("its databases are fenced", () => lisbon.member.ownStatus().state === "fenced");
  await expect.poll(() => isFenced(visitsPath(root, "lisbon"))).toBe(true);
  await lisbon.stop();
  const again = await served(root, "lisbon");
  await until("it is still fenced", () => errorsOf(again).includes("STATE_SET_BACK"));
  await expect(again.member.promote({})).rejects.toMatchObject({ code: "STATE_SET_BACK" });
  expect(endOf(porto.member)).toBe(end);
  expect(await porto.member.promote({})).toMatchObject({ epoch: 4, from: "lisbon" });
  await until("lisbon is deposed by porto", () => errorsOf(again).includes("DEPOSED"));
}, 60_000);

test("a member that was set back goes on from there in an epoch of its own when an operator says so", async () => {
  const root = temporaryDirectory();
  const { lisbon, porto } = await setBack(root);
  expect(await lisbon.member.promote({ force: "lisbon" })).toMatchObject({ epoch: 3, from: "lisbon" });
  writeVisits(root, "lisbon", 1);
  await lisbon.member.rotate();
  await until("porto stops", () => codesOf(porto.member).includes("DIVERGED"));
  await lisbon.stop();
  const again = await served(root, "lisbon");
  await until("it serves", () => again.member.ownStatus().state === "operational");
  expect(errorsOf(again)).toEqual([]);
}, 60_000);

test("a mirror that was set back says so and gets again what it lacks", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon");
  const first = await served(root, "porto");
  await untilLevel(first, lisbon);
  await first.stop();
  const kept = temporaryDirectory();
  copyMember(root, "porto", kept);
  const second = await served(root, "porto");
  writeVisits(root, "lisbon", 5);
  await untilLevel(second, lisbon);
  await until("lisbon has seen it", () => lisbon.member.ownStatus().seen?.porto?.start === 2);
  await second.stop();
  putBack(kept, "porto", root);
  const porto = await served(root, "porto");
  await until("it was noticed", () => codesOf(porto.member).includes("STATE_SET_BACK"));
  writeVisits(root, "lisbon", 5);
  await untilLevel(porto, lisbon);
  expect(errorsOf(porto)).toEqual([]);
  await until("its new run is seen", () => lisbon.member.ownStatus().seen?.porto?.start === 3);
}, 60_000);

test("a member that was set back to before its own reign does not follow itself", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon");
  const first = await served(root, "porto");
  const faro = await served(root, "faro");
  await untilLevel(first, lisbon);
  await first.stop();
  const kept = temporaryDirectory();
  copyMember(root, "porto", kept);
  const second = await served(root, "porto");
  await untilLevel(second, lisbon);
  await lisbon.stop();
  await second.member.promote({ force: "lisbon" });
  await until("faro knows", () => faro.member.roles.epoch === 4);
  await second.stop();
  putBack(kept, "porto", root);
  const porto = await served(root, "porto");
  await until("porto knows that it was set back", () => errorsOf(porto).includes("STATE_SET_BACK"));
  expect(porto.member.roles.state).toEqual({ role: "deposed", epoch: 4, by: 4 });
}, 60_000);

test("a copy of the operational member's machine fences itself, and the member that was copied goes on", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const first = await served(root, "lisbon");
  const porto = await served(root, "porto");
  await untilLevel(porto, first);
  await first.stop();
  const second = secondMachine(root, ["porto", "faro"]);
  copyMember(root, "lisbon", second);
  const lisbon = await served(root, "lisbon");
  await until("porto sees it", () => porto.member.ownStatus().seen?.lisbon?.start === 2);
  const copy = await served(second, "lisbon");
  await until("the copy is fenced", () => errorsOf(copy).includes("STATE_SET_BACK"));
  await expect.poll(() => isFenced(visitsPath(second, "lisbon"))).toBe(true);
  await until("and knows why", () => errorsOf(copy).includes("MEMBER_CLONED"));
  await expect(copy.member.promote({ force: "lisbon" })).rejects.toMatchObject({ code: "MEMBER_CLONED" });
  writeVisits(root, "lisbon", 2);
  await untilLevel(porto, lisbon);
  expect(errorsOf(lisbon)).toEqual([]);
}, 60_000);

test("a machine that is started under the name of another member serves nothing while that one lives", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon");
  const porto = await served(root, "porto");
  await untilLevel(porto, lisbon);
  const second = secondMachine(root, ["lisbon", "faro"]);
  const namesake = await served(second, "porto");
  await until("it is found out", () => errorsOf(namesake).includes("MEMBER_CLONED"));
  expect(namesake.member.ownStatus()).toMatchObject({ state: "fenced", databases: {} });
  writeVisits(root, "lisbon", 2);
  await untilLevel(porto, lisbon);
  expect([...errorsOf(porto), ...errorsOf(lisbon)]).toEqual([]);
}, 60_000);

test("a second daemon with a state of its own does not start in a mailbox where another one publishes", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon");
  await until("it publishes", () => existsSync(join(root, "lisbon", "mailbox", "status.json")));
  const second = secondMachine(root, ["porto", "faro"]);
  mkdirSync(join(second, "lisbon"));
  symlinkSync(join(root, "lisbon", "mailbox"), join(second, "lisbon", "mailbox"));
  const other = await openSetMember(second, "lisbon", SERVED_SET);
  onTestFinished(() => other.close());
  await expect(other.run(new AbortController().signal)).rejects.toMatchObject({ code: "MEMBER_CLONED" });
  expect(await isFenced(visitsPath(root, "lisbon"))).toBe(false);
  expect(lisbon.member.roles.errors).toEqual([]);
}, 60_000);

test("a member whose mailbox shows a later epoch does not serve before somebody knows whose it is", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const first = await served(root, "lisbon");
  const porto = await served(root, "porto");
  await untilLevel(porto, first);
  await first.stop();
  await porto.member.promote({ force: "lisbon" });
  const lease = join(root, "lisbon", "mailbox", LEASE_FILE);
  await until("porto ships to lisbon", () => existsSync(lease) && parseLease(readFileSync(lease, "utf8"))?.epoch === 4);
  await porto.stop();
  renameSync(join(root, "porto"), join(root, "porto.away"));
  const lisbon = await served(root, "lisbon");
  await until("it is fenced", () => errorsOf(lisbon).includes("ISOLATED"));
  expect(lisbon.member.roles.state).toEqual({ role: "claimed", epoch: 1 });
  await expect.poll(() => isFenced(visitsPath(root, "lisbon"))).toBe(true);
  renameSync(join(root, "porto.away"), join(root, "porto"));
  await until("it is deposed", () => errorsOf(lisbon).includes("DEPOSED"));
  expect(errorsOf(lisbon)).toEqual(["DEPOSED"]);
}, 60_000);

test("a run knows what it has published itself, now or before, and nothing else", () => {
  using store = StateStore.open(join(temporaryDirectory(), "state.db"), { mirror: "clinic", member: "lisbon" });
  const first = new MemberRun(store);
  expect(first.view).toBeNull();
  first.begin();
  const early = first.next();
  for (let beat = 0; beat < 250; beat++) first.next();
  const late = first.next();
  expect([early, late].map((seen) => first.judge(seen))).toEqual(["own", "own"]);
  expect(first.judge({ ...late, beat: late.beat + 1 })).toBe("later");
  const second = new MemberRun(store);
  second.begin();
  const now = second.next();
  expect(now.start).toBe(2);
  expect([early, late, now].map((seen) => second.judge(seen))).toEqual(["own", "own", "own"]);
  expect(second.judge({ ...late, beat: late.beat + 1000 })).toBe("later");
  expect([1, 2, 3].map((start) => second.judge({ ...now, session: "copy", start }))).toEqual([
    "other",
    "later",
    "later",
  ]);
  expect(second.judge({ ...now, instance: "anew", start: 9 })).toBe("other");
  second.begin(7);
  expect(second.next()).toMatchObject({ start: 7, beat: 1 });
});

import { rmSync } from "node:fs";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import type { RunbookStep } from "../../src/member/runbook-steps.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import { addVisits } from "../support/members.ts";
import {
  codesOf,
  endOf,
  publishedStatus,
  SERVED_SET,
  type ServedMember,
  served,
  servedPair,
  until,
  visitsPath,
  writeVisits,
} from "../support/served-members.ts";
import { openSetMember, setInboxPath } from "../support/set-members.ts";

function writesOf(root: string, member: string): string {
  const database = new Database(visitsPath(root, member));
  try {
    addVisits(database, 1);
    return "written";
  } catch (error) {
    return error instanceof Database.SqliteError ? error.code : String(error);
  } finally {
    database.close();
  }
}

test("a demoted member ships everything, is continued without force or loss, and becomes a mirror by itself", async () => {
  const { root, lisbon, porto } = await servedPair(10);
  // Not rotated: it is the demotion that cuts and ships these.
  writeVisits(root, "lisbon", 5);
  const steps: RunbookStep[] = [];
  const demoted = await lisbon.member.demote({}, ({ step }) => steps.push(step));
  expect(steps).toEqual(["demote:consented", "demote:begun", "demote:fenced", "demote:cut", "demote:shipped"]);
  expect(demoted).toMatchObject({ member: "lisbon", epoch: 1, dryRun: false, steps: [] });
  expect(demoted.followers).toContainEqual({ member: "porto", reachable: expect.any(Boolean), lacks: { visits: 0 } });
  expect(demoted.roles).toContainEqual({ member: "lisbon", role: "mirror", state: "fenced", epoch: 1 });
  expect(await isFenced(visitsPath(root, "lisbon"))).toBe(true);
  expect(writesOf(root, "lisbon")).toBe("SQLITE_READONLY");
  await expect(lisbon.member.unfence()).rejects.toMatchObject({ code: "UNFENCE_REFUSED" });
  await until("it says so", () => publishedStatus(root, "lisbon")?.errors[0]?.code === "DEMOTED");

  const end = lisbon.member.context.store.database("visits")?.received;
  const promoted = await porto.member.promote({});
  expect(promoted).toMatchObject({ member: "porto", from: "lisbon" });
  await until("lisbon follows", () => lisbon.member.roles.state.role === "mirror");
  expect(codesOf(lisbon.member)).not.toContain("DEPOSED");
  await until("lisbon has its copy", () => lisbon.member.mirrors.size === 1);
  // By this the copy is recognised without reading it.
  expect(lisbon.member.context.store.database("visits")?.closedSignature).not.toBeNull();
  writeVisits(root, "porto", 3);
  await porto.member.rotate();
  expect(porto.member.context.store.segments("visits", { epoch: promoted.epoch })[0]).toMatchObject({
    minTxid: (end?.txid ?? 0n) + 1n,
    preApplyChecksum: end?.checksum,
  });
  await until("lisbon is level", () => endOf(lisbon.member) === endOf(porto.member));
  for (const { member } of [lisbon, porto]) expect(codesOf(member)).not.toContain("RESYNC");
  await lisbon.stop();
  await porto.stop();
  for (const name of ["lisbon", "porto"]) settleDatabase(visitsPath(root, name));
  expect(compareDatabases(visitsPath(root, "lisbon"), visitsPath(root, "porto"))).toMatchObject({ identical: true });
}, 60_000);

test("a mirror that lacks something of a demoted member is not promoted, and by force that one is deposed", async () => {
  const { root, lisbon, porto } = await servedPair(4);
  await porto.stop();
  writeVisits(root, "lisbon", 2);
  const { followers } = await lisbon.member.demote({});
  // The fence is a commit, too.
  expect(followers).toContainEqual({ member: "porto", reachable: expect.any(Boolean), lacks: { visits: 3 } });
  await lisbon.stop();
  // What was shipped meanwhile is lost on its way.
  rmSync(setInboxPath(root, "porto", "visits"), { recursive: true });
  const again = await served(root, "porto");
  await expect(again.member.promote({})).rejects.toMatchObject({ code: "PROMOTION_BEHIND" });
  await again.member.promote({ force: "lisbon" });
  const former = await served(root, "lisbon");
  await until("lisbon is deposed", () => former.member.roles.state.role === "deposed");
  expect(await isFenced(visitsPath(root, "lisbon"))).toBe(true);
}, 60_000);

test("a demoted member stays so over a restart, and is promoted again in an epoch of its own", async () => {
  const { root, lisbon, porto } = await servedPair(4);
  await lisbon.member.demote({});
  await lisbon.stop();
  const again = await served(root, "lisbon");
  expect(again.member.roles.state).toMatchObject({ role: "demoted", epoch: 1, ends: { visits: expect.anything() } });
  expect(writesOf(root, "lisbon")).toBe("SQLITE_READONLY");
  // The command can be repeated.
  expect(await again.member.demote({})).toMatchObject({ epoch: 1 });
  const { epoch } = await again.member.promote({});
  expect(epoch).toBe(3);
  await until("lisbon can be written", () => writesOf(root, "lisbon") === "written");
  writeVisits(root, "lisbon", 4);
  await again.member.rotate();
  await until("porto follows", () => endOf(porto.member) === endOf(again.member));
  expect(porto.member.roles.state).toEqual({ role: "mirror", epoch: 3 });
}, 60_000);

test("a dry run of a demotion names the steps, and changes nothing", async () => {
  const { root, lisbon } = await servedPair(2);
  const planned = await lisbon.member.demote({ dryRun: true });
  expect(planned.dryRun).toBe(true);
  expect(planned.steps.join("\n")).toMatch(/record .* epoch 1\nmake visits read-only.*\n.*\nship it to porto/);
  expect(lisbon.member.roles.state).toEqual({ role: "operational", epoch: 1 });
  expect(writesOf(root, "lisbon")).toBe("written");
}, 60_000);

test("without a daemon the command demotes by itself; only the operational member can be", async () => {
  const { root, lisbon, porto } = await servedPair(3);
  await expect(porto.member.demote({})).rejects.toMatchObject({ code: "NOT_OPERATIONAL" });
  await lisbon.stop();
  writeVisits(root, "lisbon", 2);
  const alone = await openSetMember(root, "lisbon", SERVED_SET);
  const { databases } = await alone.demote({});
  await alone.close();
  expect(writesOf(root, "lisbon")).toBe("SQLITE_READONLY");
  await until("porto has it all", () => databases[0]?.end?.split(":")[1] === txidOf(porto));
  await porto.member.promote({});
}, 60_000);

function txidOf({ member }: ServedMember): string | undefined {
  return member.context.store.database("visits")?.received?.txid.toString(16).padStart(16, "0");
}

import { expect, test } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import type { Position } from "../../src/ltx/position.ts";
import type { Member } from "../../src/member/member.ts";
import type { Epoch } from "../../src/roles/epoch-history.ts";
import type { Offer } from "../../src/roles/role-state.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import { createClinic } from "../support/members.ts";
import { codesOf, endOf, served, until, VISITS, visitsPath, writeVisits } from "../support/served-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** The hand-over as docs/STATES.md has it, without its files: fence, cut, wait, offer, claim. */
async function handOver(from: Member, to: Member, epoch: number): Promise<void> {
  await from.fence();
  await from.rotate();
  await until("the other member is level", () => endOf(to) === endOf(from));
  const integrated = to.context.store.database(VISITS)?.integrated;
  if (integrated == null) throw new Error("nothing is integrated");
  const starts: Record<string, Position> = { [VISITS]: integrated };
  const names = { from: from.context.self.name, to: to.context.self.name };
  const offer: Offer = { id: `${epoch}`, epoch, ...names, starts };
  const begun: Epoch = { epoch, member: names.to, reason: "switchover", startedAt: new Date().toISOString(), starts };
  expect(from.roles.apply({ type: "offer", offer })).toBeNull();
  expect(to.roles.apply({ type: "claim", offer }, begun)).toBeNull();
  await until(`${names.to} is operational`, () => to.roles.state.role === "operational");
  await until(`${names.from} is a mirror`, () => from.roles.state.role === "mirror");
}

test("roles change there and back in running daemons, without a gap, a copy, or a look at all pages", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon");
  const porto = await served(root, "porto");
  writeVisits(root, "lisbon", 10);
  await lisbon.member.rotate();
  await until("porto is level", () => endOf(porto.member) !== "-" && endOf(porto.member) === endOf(lisbon.member));

  await handOver(lisbon.member, porto.member, 4);
  expect(await isFenced(visitsPath(root, "lisbon"))).toBe(true);
  await until("lisbon has a copy", () => lisbon.member.mirrors.has(VISITS));
  // By this the copy is recognised without reading it.
  expect(lisbon.member.context.store.database(VISITS)?.closedSignature).not.toBeNull();
  writeVisits(root, "porto", 10);
  await porto.member.rotate();
  await until("lisbon follows", () => endOf(lisbon.member) === endOf(porto.member));

  await handOver(porto.member, lisbon.member, 6);
  expect(await isFenced(visitsPath(root, "porto"))).toBe(true);
  writeVisits(root, "lisbon", 10);
  await lisbon.member.rotate();
  await until("porto follows", () => endOf(porto.member) === endOf(lisbon.member));

  for (const { member } of [lisbon, porto]) {
    expect(member.context.store.catalogue.epochs(VISITS)).toEqual([6, 4, 1]);
    expect(await member.context.journal.verifyChain(VISITS)).toEqual([]);
    expect(codesOf(member)).not.toContain("RESYNC");
    expect(codesOf(member)).not.toContain("MIRROR_INCONSISTENT");
    expect(member.context.store.history().epochs.map(({ epoch }) => epoch)).toEqual([1, 4, 6]);
  }
  await lisbon.stop();
  await porto.stop();
  for (const name of ["lisbon", "porto"]) settleDatabase(visitsPath(root, name));
  expect(compareDatabases(visitsPath(root, "lisbon"), visitsPath(root, "porto"))).toMatchObject({ identical: true });
}, 120_000);

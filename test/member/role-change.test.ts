import { expect, test } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import type { Member } from "../../src/member/member.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import { createClinic } from "../support/members.ts";
import { codesOf, endOf, served, until, VISITS, visitsPath, writeVisits } from "../support/served-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

async function handOver(from: Member, to: Member): Promise<void> {
  await from.sync({ members: [to.context.self.name], timeoutMs: 20_000 });
  await from.switchover({ to: to.context.self.name });
  expect([from.roles.state.role, to.roles.state.role]).toEqual(["mirror", "operational"]);
}

test("roles change there and back in running daemons, without a gap, a copy, or a look at all pages", async () => {
  const root = temporaryDirectory();
  createClinic(visitsPath(root, "lisbon")).close();
  const lisbon = await served(root, "lisbon");
  const porto = await served(root, "porto");
  writeVisits(root, "lisbon", 10);
  await lisbon.member.rotate();
  await until("porto is level", () => endOf(porto.member) !== "-" && endOf(porto.member) === endOf(lisbon.member));

  await handOver(lisbon.member, porto.member);
  expect(await isFenced(visitsPath(root, "lisbon"))).toBe(true);
  await until("lisbon has a copy", () => lisbon.member.mirrors.has(VISITS));
  // By this the copy is recognised without reading it.
  expect(lisbon.member.context.store.database(VISITS)?.closedSignature).not.toBeNull();
  writeVisits(root, "porto", 10);
  await porto.member.rotate();
  await until("lisbon follows", () => endOf(lisbon.member) === endOf(porto.member));

  await handOver(porto.member, lisbon.member);
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

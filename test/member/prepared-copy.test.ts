import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { compareDatabases, settleDatabase } from "../../src/demo/compare-databases.ts";
import type { Member } from "../../src/member/member.ts";
import { addVisits, CLINIC, createClinic, databasePath, inboxPath, openMember } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** A set whose operational member has a snapshot, which lies in the mirror's inbox. */
async function delivered(): Promise<{ root: string; name: string }> {
  const root = temporaryDirectory();
  const database = createClinic(databasePath(root, "lisbon"));
  addVisits(database, 300);
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  database.close();
  const path = snapshotPath(lisbon);
  mkdirSync(inboxPath(root, "porto"), { recursive: true });
  copyFileSync(path, join(inboxPath(root, "porto"), basename(path)));
  return { root, name: basename(path) };
}

function snapshotPath({ context: { store, journal } }: Member): string {
  const [row] = store.segments(CLINIC);
  if (row?.kind !== "snapshot") throw new Error("the journal begins with no snapshot");
  return journal.path(row);
}

/** A mirror that has received everything and integrated nothing. */
async function received(root: string): Promise<Member> {
  const porto = await openMember(root, "porto");
  await porto.pause();
  await porto.integrate();
  return porto;
}

function preparedPath(root: string): string {
  return `${databasePath(root, "porto")}.afterimage-new`;
}

async function expectEqual(root: string, porto: Member): Promise<void> {
  expect(await porto.verify()).toMatchObject([{ ok: true, problems: [] }]);
  await porto.close();
  for (const member of ["lisbon", "porto"]) settleDatabase(databasePath(root, member));
  expect(compareDatabases(databasePath(root, "lisbon"), databasePath(root, "porto"))).toMatchObject({
    identical: true,
  });
  expect(existsSync(preparedPath(root))).toBe(false);
}

test("a first copy is written while its snapshot is checked, and gets its name when it is integrated", async () => {
  const { root } = await delivered();
  const porto = await received(root);
  expect([existsSync(preparedPath(root)), existsSync(databasePath(root, "porto"))]).toEqual([true, false]);
  const kept = snapshotPath(porto);
  const bytes = readFileSync(kept);
  // The snapshot is not read a second time.
  rmSync(kept);
  await porto.resume();
  expect(await porto.integrate()).toMatchObject([{ transactions: 1 }]);
  writeFileSync(kept, bytes);
  await expectEqual(root, porto);
});

test("what was prepared before a restart is not trusted", async () => {
  const { root } = await delivered();
  await (await received(root)).close();
  writeFileSync(preparedPath(root), "torn by a power cut");
  const porto = await openMember(root, "porto");
  await porto.resume();
  expect(await porto.integrate()).toMatchObject([{ transactions: 1 }]);
  await expectEqual(root, porto);
});

test("a damaged snapshot goes to quarantine and leaves no copy; the right one is taken after it", async () => {
  const { root, name } = await delivered();
  const path = join(inboxPath(root, "porto"), name);
  const bytes = readFileSync(path);
  const damaged = Buffer.from(bytes);
  const last = damaged.length - 1;
  damaged[last] = (damaged[last] ?? 0) ^ 1;
  writeFileSync(path, damaged);
  const porto = await openMember(root, "porto");
  expect(await porto.integrate()).toMatchObject([{ transactions: 0 }]);
  expect([existsSync(preparedPath(root)), existsSync(databasePath(root, "porto"))]).toEqual([false, false]);
  writeFileSync(path, bytes);
  expect(await porto.integrate()).toMatchObject([{ transactions: 1 }]);
  await expectEqual(root, porto);
});

test("a copy that came to its place meanwhile is not replaced by the one that was prepared", async () => {
  const { root } = await delivered();
  const porto = await received(root);
  copyFileSync(databasePath(root, "lisbon"), databasePath(root, "porto"));
  await porto.resume();
  await expect(porto.integrate()).rejects.toMatchObject({ code: "DATABASE_EXISTS" });
  await porto.close();
});

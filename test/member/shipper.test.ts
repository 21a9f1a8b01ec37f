import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { waitUntil } from "../../src/demo/wait-until.ts";
import type { Member } from "../../src/member/member.ts";
import { addVisits, CLINIC, createClinic, databasePath, inboxPath, openMember } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

function arrived(root: string): string[] {
  const inbox = inboxPath(root, "porto");
  return existsSync(inbox) ? readdirSync(inbox).filter((name) => !name.startsWith(".")) : [];
}

/** Runs lisbon's shipper to porto while `act` runs. */
async function shipping(lisbon: Member, act: () => Promise<void>): Promise<void> {
  const shipper = lisbon.shippers.get("porto");
  if (shipper === undefined) throw new Error("lisbon has no follower");
  const stop = new AbortController();
  const running = shipper.run(stop.signal);
  try {
    await act();
  } finally {
    stop.abort();
    await running;
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  await waitUntil(condition, { what, stalledAfterMs: 30_000, progress: () => "" });
}

test("a follower gets the snapshot first, then every segment in order, once", async () => {
  const root = temporaryDirectory();
  const database = createClinic(databasePath(root, "lisbon"));
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  addVisits(database, 3);
  await lisbon.rotate();
  mkdirSync(join(root, "porto", "mailbox"), { recursive: true });
  await shipping(lisbon, async () => {
    await until("two files", () => arrived(root).length === 2);
    addVisits(database, 1);
    await lisbon.rotate();
    await until("three files", () => arrived(root).length === 3);
  });
  expect(arrived(root)).toEqual([
    "0000000000000001-0000000000000001.ltx",
    "0000000000000002-0000000000000004.ltx",
    "0000000000000005-0000000000000005.ltx",
  ]);
  expect(lisbon.ownStatus().followers.porto?.databases[CLINIC]?.shipped).toBe("0000000000000005");
  database.close();
});

test("what was shipped is not shipped again after a restart", async () => {
  const root = temporaryDirectory();
  const database = createClinic(databasePath(root, "lisbon"));
  mkdirSync(join(root, "porto", "mailbox"), { recursive: true });
  {
    await using lisbon = await openMember(root, "lisbon");
    await lisbon.rotate();
    await shipping(lisbon, () => until("the snapshot", () => arrived(root).length === 1));
  }
  rmSync(inboxPath(root, "porto"), { recursive: true });
  await using lisbon = await openMember(root, "lisbon");
  await shipping(lisbon, async () => {
    addVisits(database, 1);
    await lisbon.rotate();
    await until("the next file", () => arrived(root).length > 0);
  });
  expect(arrived(root)).not.toContain("0000000000000001-0000000000000001.ltx");
  database.close();
});

test("a mailbox that is gone is an error that names it, and shipping goes on when it is back", async () => {
  const root = temporaryDirectory();
  const database = createClinic(databasePath(root, "lisbon"));
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  const mailbox = join(root, "porto", "mailbox");
  mkdirSync(`${mailbox}-elsewhere`, { recursive: true });
  await shipping(lisbon, async () => {
    await until("the error", () => lisbon.ownStatus().followers.porto?.error?.code === "TARGET_MISSING");
    renameSync(`${mailbox}-elsewhere`, mailbox);
    await until("the snapshot", () => arrived(root).length === 1);
    await until("the error is over", () => lisbon.ownStatus().followers.porto?.error === null);
  });
  expect(lisbon.context.store.events({}).map((event) => event.code)).toEqual(
    expect.arrayContaining(["TARGET_MISSING", "FOLLOWER_REACHED"]),
  );
  database.close();
});

test("a follower that is far behind gets fewer, merged segments, and ends equal", async () => {
  const root = temporaryDirectory();
  const database = createClinic(databasePath(root, "lisbon"));
  addVisits(database, 50);
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  const update = database.prepare("UPDATE visit SET note = ? WHERE id = ?");
  let position = "";
  for (let i = 0; i < 100; i++) {
    update.run(`seen ${i}`, 1 + (i % 10));
    const [result] = await lisbon.rotate();
    position = result?.position ?? "";
  }
  mkdirSync(join(root, "porto", "mailbox"), { recursive: true });
  await shipping(lisbon, () => until("the last transaction", () => shippedTo(lisbon) === "0000000000000065"));
  const files = arrived(root);
  expect(files).toEqual(["0000000000000001-0000000000000001.ltx", "0000000000000002-0000000000000065.ltx"]);
  const segments = await lisbon.segments({ limit: 1000 });
  const bytes = segments.filter(({ kind }) => kind === "segment").reduce((sum, segment) => sum + segment.bytes, 0);
  expect(statSync(join(inboxPath(root, "porto"), files[1] ?? "")).size).toBeLessThan(bytes / 10);
  expect(readdirSync(join(root, "lisbon", "state", "outbox", "porto"))).toEqual([]);

  await using porto = await openMember(root, "porto");
  expect(await porto.integrate()).toMatchObject([{ position }]);
  expect(await porto.verify()).toMatchObject([{ ok: true, problems: [] }]);
  database.close();
});

function shippedTo(lisbon: Member): string | null {
  return lisbon.ownStatus().followers.porto?.databases[CLINIC]?.shipped ?? null;
}

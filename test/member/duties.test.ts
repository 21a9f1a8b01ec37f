import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import type { Member } from "../../src/member/member.ts";
import {
  addVisits,
  CLINIC,
  createClinic,
  databasePath,
  inboxPath,
  openMember,
  segmentsPath,
} from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

function eventCodes(member: Member): string[] {
  return member.context.store.events({}).map((event) => event.code);
}

async function position(member: Member): Promise<string> {
  const [result] = await member.rotate();
  return result?.position ?? "";
}

/** Copies lisbon's whole journal into porto's inbox; what porto has already is dropped there. */
async function carry(root: string, lisbon: Member): Promise<void> {
  mkdirSync(inboxPath(root, "porto"), { recursive: true });
  for (const { path, minTxid, maxTxid } of await lisbon.segments({ limit: 1000 })) {
    copyFileSync(path, join(inboxPath(root, "porto"), `${minTxid}-${maxTxid}.ltx`));
  }
}

function openForWriting(path: string): Database.Database {
  const database = new Database(path, { timeout: 2_000 });
  // Keeps the WAL when the test closes it, as an application that goes on running would.
  database.pragma("wal_autocheckpoint = 0");
  return database;
}

test("commits that nobody watched become one resync segment with the pages that differ", async () => {
  const root = temporaryDirectory();
  const path = databasePath(root, "lisbon");
  const first = createClinic(path);
  addVisits(first, 200);
  {
    await using lisbon = await openMember(root, "lisbon");
    await lisbon.rotate();
  }
  first.prepare("UPDATE visit SET note = 'seen' WHERE id = 100").run();
  first.close();

  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  const [snapshot, resync] = await lisbon.segments({});
  expect(eventCodes(lisbon)).toContain("RESYNC");
  expect(snapshot?.pages).toBeGreaterThan(20);
  expect(resync).toMatchObject({ kind: "segment", minTxid: "0000000000000002", maxTxid: "0000000000000002" });
  expect(resync?.pages).toBeLessThan(10);

  await carry(root, lisbon);
  await using porto = await openMember(root, "porto");
  await porto.integrate();
  const reader = new Database(databasePath(root, "porto"), { readonly: true });
  expect(reader.prepare("SELECT note FROM visit WHERE id = 100").pluck().get()).toBe("seen");
  reader.close();
});

test("a restart after which nothing had changed cuts nothing", async () => {
  const root = temporaryDirectory();
  createClinic(databasePath(root, "lisbon")).close();
  let before = "";
  {
    await using lisbon = await openMember(root, "lisbon");
    before = await position(lisbon);
  }
  await using lisbon = await openMember(root, "lisbon");
  expect(await position(lisbon)).toBe(before);
  expect(await lisbon.segments({})).toHaveLength(1);
});

test("a database whose page size changed is refused, and the journal stays as it is", async () => {
  const root = temporaryDirectory();
  const path = databasePath(root, "lisbon");
  createClinic(path).close();
  {
    await using lisbon = await openMember(root, "lisbon");
    await lisbon.rotate();
  }
  rmSync(path);
  const other = new Database(path);
  other.pragma("page_size = 8192");
  other.pragma("journal_mode = WAL");
  other.exec("CREATE TABLE visit (id INTEGER PRIMARY KEY)");
  other.close();
  await using lisbon = await openMember(root, "lisbon");
  await expect(lisbon.rotate()).rejects.toMatchObject({ code: "PAGE_SIZE_CHANGED" });
  expect(lisbon.ownStatus().databases[CLINIC]?.error).toMatchObject({ code: "PAGE_SIZE_CHANGED" });
  expect(await lisbon.segments({})).toHaveLength(1);
});

test("large changes are cut into several segments at commits", async () => {
  const root = temporaryDirectory();
  const database = createClinic(databasePath(root, "lisbon"));
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  const insert = database.prepare("INSERT INTO visit (scan) VALUES (randomblob(30000000))");
  for (let i = 0; i < 5; i++) insert.run();
  const [result] = await lisbon.rotate();
  // 64 MiB a segment hold two commits of 30 MB each.
  expect(result?.segments.length).toBe(3);
  expect(await lisbon.verify()).toMatchObject([{ ok: true }]);
  database.close();
});

test("a fence refuses writers until it is lifted, and outlives the daemon", async () => {
  const root = temporaryDirectory();
  const path = databasePath(root, "lisbon");
  const database = createClinic(path);
  {
    await using lisbon = await openMember(root, "lisbon");
    expect(await lisbon.fence()).toEqual([{ database: CLINIC, fenced: true, changed: true }]);
    expect(await lisbon.fence()).toEqual([{ database: CLINIC, fenced: true, changed: false }]);
    expect(() => addVisits(database, 1)).toThrow(expect.objectContaining({ code: "SQLITE_READONLY" }));
  }
  database.close();
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  expect(lisbon.ownStatus().databases[CLINIC]?.fenced).toBe(true);
  await lisbon.unfence();
  const reopened = openForWriting(path);
  addVisits(reopened, 1);
  await lisbon.rotate();
  expect(lisbon.ownStatus().databases[CLINIC]?.fenced).toBe(false);
  expect(await lisbon.verify()).toMatchObject([{ ok: true }]);
  reopened.close();
});

test("a mirror is never unfenced, cuts nothing, and an operational member integrates nothing", async () => {
  const root = temporaryDirectory();
  createClinic(databasePath(root, "lisbon")).close();
  await using lisbon = await openMember(root, "lisbon");
  await using porto = await openMember(root, "porto");
  await expect(porto.unfence()).rejects.toMatchObject({ code: "UNFENCE_REFUSED" });
  await expect(porto.rotate()).rejects.toMatchObject({ code: "NOT_OPERATIONAL" });
  await expect(lisbon.integrate()).rejects.toMatchObject({ code: "NOT_A_MIRROR" });
  await expect(lisbon.rotate(["clinics"])).rejects.toMatchObject({ code: "DATABASE_UNKNOWN" });
});

test("verify finds a byte that was changed in a mirror's file, and a segment that was removed", async () => {
  const root = temporaryDirectory();
  const database = createClinic(databasePath(root, "lisbon"));
  addVisits(database, 100);
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  addVisits(database, 1);
  await lisbon.rotate();
  await carry(root, lisbon);
  database.close();
  {
    await using porto = await openMember(root, "porto");
    await porto.integrate();
    expect(await porto.verify()).toMatchObject([{ ok: true }]);
  }
  const path = databasePath(root, "porto");
  const bytes = readFileSync(path);
  bytes[bytes.length - 100] = (bytes[bytes.length - 100] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  await using porto = await openMember(root, "porto");
  await expect(porto.verify()).rejects.toMatchObject({ code: "MIRROR_INCONSISTENT" });

  const directory = join(segmentsPath(root, "lisbon"), "0");
  for (const name of readdirSync(directory)) rmSync(join(directory, name));
  const [report] = await lisbon.verify();
  expect(report?.ok).toBe(false);
  expect(report?.problems.join()).toContain("0000000000000002");
});

test("one end mark lies beside the segments, just behind the last one", async () => {
  const root = temporaryDirectory();
  const database = createClinic(databasePath(root, "lisbon"));
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  const files = () => readdirSync(join(segmentsPath(root, "lisbon"), "0"));
  expect(files()).toEqual(["0000000000000002-0000000000000002.ltx"]);
  addVisits(database, 1);
  await lisbon.rotate();
  addVisits(database, 4);
  await lisbon.rotate();
  expect(files()).toEqual([
    "0000000000000002-0000000000000002.ltx",
    "0000000000000003-0000000000000006.ltx",
    "0000000000000007-0000000000000007.ltx",
  ]);
  expect((await lisbon.segments({})).map((segment) => segment.maxTxid)).not.toContain("0000000000000007");
  database.close();
});

test("the end mark outlives a restart, and is no stray", async () => {
  const root = temporaryDirectory();
  const database = createClinic(databasePath(root, "lisbon"));
  const files = () => readdirSync(join(segmentsPath(root, "lisbon"), "0"));
  {
    await using lisbon = await openMember(root, "lisbon");
    await lisbon.rotate();
    addVisits(database, 2);
    await lisbon.rotate();
  }
  const before = files();
  expect(before).toEqual(["0000000000000002-0000000000000003.ltx", "0000000000000004-0000000000000004.ltx"]);
  {
    await using lisbon = await openMember(root, "lisbon");
    expect(files()).toEqual(before);
    // Without its last file the journal has no end to mark; the member opens all the same.
    rmSync(join(segmentsPath(root, "lisbon"), "0", before[0] ?? ""));
    expect(await lisbon.verify()).toMatchObject([{ ok: false }]);
  }
  await using lisbon = await openMember(root, "lisbon");
  expect(lisbon.role).toBe("operational");
  database.close();
});

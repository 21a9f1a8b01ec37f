import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { runVerifyJob } from "../../src/member/jobs/verify.ts";
import type { Member } from "../../src/member/member.ts";
import { verifyDatabase } from "../../src/member/verification.ts";
import {
  addVisits,
  CLINIC,
  createClinic,
  databasePath,
  inboxPath,
  type JournalKeys,
  openMember,
  segmentsPath,
} from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const PAGE_SIZE = 4096;
const EVERY_SECOND: JournalKeys = { verify: "* * * * * *" };

/** A database of more than a hundred megabytes in one commit: comparing it takes many turns. */
function createBallast(path: string): void {
  const database = createClinic(path);
  database.exec(`
    CREATE TABLE ballast (id INTEGER PRIMARY KEY, bytes BLOB);
    INSERT INTO ballast (bytes)
      WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 120) SELECT randomblob(1000000) FROM n;
  `);
  database.close();
}

const FLIP = `
  const [path, offset, size] = process.argv.slice(1);
  const fs = require("node:fs");
  const file = fs.openSync(path, "r+");
  const bytes = Buffer.alloc(Number(size));
  fs.readSync(file, bytes, 0, bytes.length, Number(offset));
  fs.writeSync(file, bytes.map((byte) => byte ^ 0xff), 0, bytes.length, Number(offset));
`;

/** Turns every bit of a page, twice to undo it. From another process: closing a descriptor here would drop our locks. */
function flipPage(path: string, pgno: number): void {
  execFileSync(process.execPath, ["-e", FLIP, path, String((pgno - 1) * PAGE_SIZE), String(PAGE_SIZE)]);
}

/** Puts all of lisbon's segments into porto's inbox. */
function carry(root: string): void {
  mkdirSync(inboxPath(root, "porto"), { recursive: true });
  for (const level of ["9", "0"]) {
    const directory = join(segmentsPath(root, "lisbon"), level);
    for (const name of existsSync(directory) ? readdirSync(directory) : []) {
      copyFileSync(join(directory, name), join(inboxPath(root, "porto"), name));
    }
  }
}

function eventsOf(member: Member, ...codes: string[]) {
  return member.context.store.events({ limit: 1_000 }).filter(({ code }) => codes.includes(code));
}

/** Runs the verification job of the member until it is disposed of. */
function verifying(member: Member): AsyncDisposable {
  const stop = new AbortController();
  const running = runVerifyJob(member, stop.signal);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

test("rotation and writers go on while the operational database is verified", async () => {
  const root = temporaryDirectory();
  const path = databasePath(root, "lisbon");
  createBallast(path);
  const application = new Database(path);
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  const rewrite = application.prepare("UPDATE ballast SET bytes = randomblob(1000) WHERE id = ?");

  let busy = true;
  const verification = lisbon.verify().finally(() => {
    busy = false;
  });
  let cut = 0;
  for (let id = 120; busy; id = id > 1 ? id - 1 : 120) {
    rewrite.run(id);
    cut += (await lisbon.rotate())[0]?.segments.length ?? 0;
    await nextTurn();
  }
  expect(await verification).toMatchObject([{ ok: true, problems: [] }]);
  expect(cut).toBeGreaterThan(0);
  expect(await lisbon.verify()).toMatchObject([{ ok: true, problems: [] }]);
  application.close();
});

test("what is integrated while a mirror is verified changes nothing of the verdict", async () => {
  const root = temporaryDirectory();
  const application = createClinic(databasePath(root, "lisbon"));
  addVisits(application, 500);
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  carry(root);
  await using porto = await openMember(root, "porto");
  const [before] = await porto.integrate();
  const source = await porto.mirrors.get(CLINIC)?.beginVerification();
  if (source == null) throw new Error("nothing to verify");

  application.exec("UPDATE visit SET note = 'seen'; DELETE FROM visit WHERE id > 100; VACUUM");
  await lisbon.rotate();
  carry(root);
  const [after] = await porto.integrate();
  expect(after?.transactions).toBe(3);
  const begun = { name: CLINIC, beginVerification: async () => source };
  const verdict = await verifyDatabase(porto.context, begun);
  expect(verdict).toMatchObject({ ok: true, problems: [], position: before?.position });
  expect(await porto.verify()).toMatchObject([{ ok: true, problems: [], position: after?.position }]);
  application.close();
});

test("a mirror's damaged page is found by schedule, is an event and shows in status, until it is right again", async () => {
  const root = temporaryDirectory();
  const application = createClinic(databasePath(root, "lisbon"));
  addVisits(application, 200);
  application.close();
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  carry(root);
  await using porto = await openMember(root, "porto", undefined, EVERY_SECOND);
  const [integrated] = await porto.integrate();
  const txid = integrated?.position?.split(":")[1];
  const mirror = databasePath(root, "porto");
  const verified = () => porto.ownStatus().databases[CLINIC]?.verified ?? null;
  expect(verified()).toBeNull();

  await using _job = verifying(porto);
  await waitUntil(() => verified()?.ok === true, { what: "it is verified", stalledAfterMs: 20_000 });
  expect(verified()).toMatchObject({ ok: true, txid, time: expect.stringMatching(/^\d{4}-/) });
  flipPage(mirror, 7);
  await waitUntil(() => verified()?.ok === false, { what: "the damage is found", stalledAfterMs: 20_000 });
  const [failed] = eventsOf(porto, "VERIFICATION_FAILED");
  expect(failed).toMatchObject({ level: "error", database: CLINIC, data: { problems: ["page 7 differs"] } });
  flipPage(mirror, 7);
  await waitUntil(() => verified()?.ok === true, { what: "it is right again", stalledAfterMs: 20_000 });
  expect(eventsOf(porto, "VERIFIED").at(-1)).toMatchObject({ level: "info", database: CLINIC });
});

test("the outcome of a verification is remembered by the next process", async () => {
  const root = temporaryDirectory();
  createClinic(databasePath(root, "lisbon")).close();
  {
    await using lisbon = await openMember(root, "lisbon");
    await lisbon.verify();
  }
  await using lisbon = await openMember(root, "lisbon");
  expect(lisbon.ownStatus().databases[CLINIC]?.verified).toMatchObject({ ok: true, txid: "0000000000000001" });
});

test("what keeps a database from being verified is an event, and no verdict", async () => {
  const root = temporaryDirectory();
  const path = databasePath(root, "lisbon");
  createClinic(path).close();
  await using lisbon = await openMember(root, "lisbon", undefined, EVERY_SECOND);
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
  await using _job = verifying(lisbon);
  const skipped = () => eventsOf(lisbon, "VERIFICATION_SKIPPED").length > 0;
  await waitUntil(skipped, { what: "it is said", stalledAfterMs: 20_000 });
  expect(eventsOf(lisbon, "VERIFICATION_SKIPPED")[0]).toMatchObject({
    level: "warn",
    data: { error: "DATABASE_MISSING" },
  });
  expect(lisbon.ownStatus().databases[CLINIC]?.verified).toBeNull();
});

test("a mirror without a database yet has nothing to verify, and nothing failed", async () => {
  const root = temporaryDirectory();
  await using porto = await openMember(root, "porto");
  expect(await porto.verify()).toMatchObject([{ ok: false, position: null }]);
  expect(eventsOf(porto, "VERIFICATION_FAILED")).toEqual([]);
});

test("a verification that is stopped says nothing, and keeps nothing open", async () => {
  const root = temporaryDirectory();
  const path = databasePath(root, "lisbon");
  createBallast(path);
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  const duty = lisbon.operational.get(CLINIC);
  if (duty === undefined) throw new Error("no duty");
  const stopped = verifyDatabase(lisbon.context, duty, AbortSignal.abort(new Error("stopping")));
  await expect(stopped).rejects.toThrow("stopping");
  expect(eventsOf(lisbon, "VERIFIED", "VERIFICATION_FAILED")).toEqual([]);
  expect(lisbon.ownStatus().databases[CLINIC]?.verified).toBeNull();

  const application = new Database(path);
  application.pragma("wal_autocheckpoint = 0");
  for (let i = 0; i < 5; i++) addVisits(application, 300);
  for (let i = 0; i < 2; i++) {
    await duty.poll({ rotate: true });
    addVisits(application, 1);
  }
  await duty.poll({ rotate: true });
  expect(duty.walBytes).toBeLessThan(100_000);
  application.close();
});

test("deep verifications that are asked for at the same time are one, unless who began it gives up", async () => {
  const root = temporaryDirectory();
  createBallast(databasePath(root, "lisbon"));
  await using lisbon = await openMember(root, "lisbon");
  await lisbon.rotate();
  const duty = lisbon.operational.get(CLINIC);
  if (duty === undefined) throw new Error("no duty");
  const verify = (stop = new AbortController()) => lisbon.deep.verify(duty, stop.signal);
  const [first, second] = await Promise.all([verify(), verify()]);
  expect(first).toMatchObject({ ok: true, members: [] });
  expect(second).toEqual(first);
  expect(eventsOf(lisbon, "VERIFIED")).toHaveLength(1);

  const givenUp = new AbortController();
  const begun = verify(givenUp);
  const joined = verify();
  givenUp.abort(new Error("gave up"));
  await expect(begun).rejects.toThrow("gave up");
  expect(await joined).toMatchObject({ ok: true });
  expect(eventsOf(lisbon, "VERIFIED")).toHaveLength(2);
});

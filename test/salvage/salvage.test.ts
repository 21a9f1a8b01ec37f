import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { writeFileAtomically } from "../../src/durable-files.ts";
import { addVisits, databasePath } from "../support/members.ts";
import { LostClinic, visitsIn } from "./lost-clinic.ts";

test("unshipped segments and the rest of the WAL arrive on the mirror, one TXID for each commit, and the source stays as it is", async () => {
  await using clinic = await LostClinic.begin();
  addVisits(clinic.application, 15);
  await clinic.rotate();
  addVisits(clinic.application, 10);
  clinic.lose();
  const before = clinic.fingerprint();
  const result = await clinic.salvageClinic();
  expect(result).toMatchObject({
    ...{ outcome: "salvaged", method: "wal", proved: true, transactions: 25, discardedFrames: 0, error: null },
    ...{ unshippedSegments: 1, cutSegments: 1, firstTxid: "0000000000000002", lastTxid: "000000000000001a" },
  });
  expect(Date.parse(result.lastCommit ?? "")).toBeLessThanOrEqual(Date.now());
  expect(clinic.fingerprint()).toBe(before);
  const again = await clinic.salvageClinic();
  expect(again).toMatchObject({ outcome: "complete", transactions: 0, proved: true, from: result.to, to: result.to });
  expect((await clinic.mirror.verify())[0]).toMatchObject({ ok: true, position: result.to });
  const shown = clinic.shownByDisk();
  expect(visitsIn(shown)).toBe(45);
  expect(await clinic.compareMirror(shown)).toMatchObject({ identical: true });
});

test("a dry run proves everything and delivers nothing", async () => {
  await using clinic = await LostClinic.begin();
  addVisits(clinic.application, 5);
  clinic.lose();
  expect(await clinic.salvage({ dryRun: true })).toMatchObject({
    member: "lisbon",
    dryRun: true,
    databases: [{ outcome: "salvaged", transactions: 5, proved: true }],
  });
  expect(visitsIn(databasePath(clinic.root, "porto"))).toBe(20);
  expect(readdirSync(join(clinic.root, "porto", "state"))).not.toContain("salvage");
  expect(await clinic.salvageClinic()).toMatchObject({ outcome: "salvaged", transactions: 5 });
});

test("a WAL that is torn anywhere gives what SQLite would find in it", async () => {
  await using clinic = await LostClinic.begin();
  addVisits(clinic.application, 12);
  clinic.lose();
  const whole = readFileSync(clinic.walOnDisk);
  const covered = Number((await clinic.salvageClinic({ dryRun: true })).transactions);
  expect(covered).toBe(12);
  for (let round = 0; round < 14; round++) {
    const share = round === 13 ? 0.9 : 0.3 * Math.random();
    const cutAt = round === 0 ? whole.length - 1 : Math.floor(whole.length * (1 - share));
    writeFileSync(clinic.walOnDisk, whole);
    truncateSync(clinic.walOnDisk, cutAt);
    const shown = visitsIn(clinic.shownByDisk());
    const { outcome, transactions, proved, notes } = await clinic.salvageClinic({ dryRun: true });
    const at = `cut at byte ${cutAt} of ${whole.length}: ${notes.join()}`;
    if (shown < 20) expect([at, outcome]).toEqual([at, "complete"]);
    else expect([at, proved, transactions]).toEqual([at, true, shown - 20]);
  }
});

test("a damaged frame in the tail ends what is salvaged with the commit before it", async () => {
  await using clinic = await LostClinic.begin();
  const covered = readFileSync(`${databasePath(clinic.root, "lisbon")}-wal`).length;
  addVisits(clinic.application, 12);
  clinic.lose();
  const whole = readFileSync(clinic.walOnDisk);
  for (let round = 0; round < 10; round++) {
    const damaged = Buffer.from(whole);
    const at = covered + Math.floor(Math.random() * (whole.length - covered));
    damaged[at] = (damaged[at] ?? 0) ^ (1 << (round % 8));
    writeFileSync(clinic.walOnDisk, damaged);
    const shown = visitsIn(clinic.shownByDisk());
    const { proved, transactions } = await clinic.salvageClinic({ dryRun: true });
    expect([at, proved, transactions]).toEqual([at, true, shown - 20]);
  }
  const shown = clinic.shownByDisk();
  await clinic.salvageClinic();
  expect(await clinic.compareMirror(shown)).toMatchObject({ identical: true });
});

test("a frame that is damaged before the journal's end does not stand in the way of those after it", async () => {
  await using clinic = await LostClinic.begin();
  addVisits(clinic.application, 6);
  clinic.lose();
  const wal = readFileSync(clinic.walOnDisk);
  wal[32 + 24 + 100] = (wal[32 + 24 + 100] ?? 0) ^ 1;
  writeFileSync(clinic.walOnDisk, wal);
  // SQLite itself would drop the whole WAL, so there is nothing to compare with.
  expect(await clinic.salvageClinic()).toMatchObject({ outcome: "refused", error: { code: "SALVAGE_UNPROVED" } });
  expect(await clinic.salvageClinic({ withoutProof: true })).toMatchObject({ outcome: "salvaged", transactions: 6 });
  expect(visitsIn(databasePath(clinic.root, "porto"))).toBe(26);
});

test("a WAL that was restarted where the journal ends is proved to continue it", async () => {
  await using clinic = await LostClinic.begin();
  addVisits(clinic.application, 7);
  await clinic.rotate();
  await clinic.stopDaemon();
  clinic.application.pragma("wal_checkpoint(RESTART)");
  addVisits(clinic.application, 4);
  clinic.lose();
  expect(await clinic.salvageClinic()).toMatchObject({
    ...{ outcome: "salvaged", method: "wal", proved: true, transactions: 11, unshippedSegments: 1, evidence: null },
  });
  expect(await clinic.salvageClinic()).toMatchObject({ outcome: "complete" });
  expect(await clinic.compareMirror(clinic.shownByDisk())).toMatchObject({ identical: true });
});

test("a WAL that a clean close has removed is refused with what is known, and taken by its pages when that is accepted", async () => {
  await using clinic = await LostClinic.begin();
  await clinic.stopDaemon();
  addVisits(clinic.application, 9);
  clinic.application.close();
  clinic.lose();
  const refused = await clinic.salvageClinic();
  expect(refused).toMatchObject({ outcome: "refused", error: { code: "SALVAGE_WAL_DIFFERENT" } });
  expect(refused.error?.message).toMatch(
    /there is no WAL: it is gone. \d+ of \d+ pages differ, \d+ of them as the journal had them before; change counter \d+/,
  );
  const taken = await clinic.salvageClinic({ acceptDifference: true });
  expect(taken).toMatchObject({
    ...{ outcome: "salvaged", method: "difference", proved: true, transactions: 1 },
    evidence: { identity: "lisbon of clinic", differingPages: expect.any(Number) },
  });
  expect(await clinic.salvageClinic()).toMatchObject({ outcome: "complete", proved: true });
  expect(await clinic.compareMirror(clinic.shownByDisk())).toMatchObject({ identical: true });
});

test("a WAL that was restarted after commits that no segment has is taken by the pages, with the count of its restarts", async () => {
  await using clinic = await LostClinic.begin();
  await clinic.stopDaemon();
  addVisits(clinic.application, 3);
  clinic.application.pragma("wal_checkpoint(RESTART)");
  addVisits(clinic.application, 4);
  clinic.lose();
  const refused = await clinic.salvageClinic();
  expect(refused.error).toMatchObject({
    code: "SALVAGE_WAL_DIFFERENT",
    message: expect.stringContaining("by its salt the WAL was restarted 1 times since"),
  });
  expect(await clinic.salvageClinic({ acceptDifference: true })).toMatchObject({
    ...{ outcome: "salvaged", method: "difference", transactions: 1, evidence: { walRestarts: 1 } },
  });
  addVisits(clinic.application, 2);
  clinic.lose();
  expect(await clinic.salvageClinic()).toMatchObject({
    outcome: "salvaged",
    method: "wal",
    transactions: 2,
    proved: true,
  });
  expect(await clinic.compareMirror(clinic.shownByDisk())).toMatchObject({ identical: true });
});

test("a database that was shrunk, and then fenced, is salvaged like any other", async () => {
  await using clinic = await LostClinic.begin();
  addVisits(clinic.application, 40);
  clinic.application.exec("DELETE FROM visit WHERE id > 5; VACUUM");
  await clinic.fence();
  addVisitsRefused(clinic);
  clinic.lose();
  expect(await clinic.salvageClinic()).toMatchObject({ outcome: "salvaged", proved: true, error: null });
  const shown = clinic.shownByDisk();
  expect(visitsIn(shown)).toBe(5);
  expect(await clinic.compareMirror(shown)).toMatchObject({ identical: true });
});

test("a database whose WAL is lost is not taken for a newer one", async () => {
  await using clinic = await LostClinic.begin();
  clinic.application.pragma("wal_checkpoint(PASSIVE)");
  addVisits(clinic.application, 9);
  await clinic.rotate();
  await clinic.ship();
  clinic.lose();
  rmSync(clinic.walOnDisk);
  expect(await clinic.salvageClinic({ acceptDifference: true })).toMatchObject({
    outcome: "refused",
    error: {
      code: "SALVAGE_OLDER",
      message: expect.stringMatching(/all \d+ pages that differ are as the journal had them before|change counter is/),
    },
  });
});

test("a database that is older than the journal is not taken, even where no position of the journal is the same", async () => {
  await using clinic = await LostClinic.begin();
  // One segment of several commits, of which the file holds the first ones only.
  addVisits(clinic.application, 9);
  clinic.application.pragma("wal_checkpoint(PASSIVE)");
  clinic.application.exec("UPDATE visit SET note = 'seen' WHERE id < 5");
  await clinic.rotate();
  await clinic.ship();
  clinic.application.exec("UPDATE visit SET note = 'read' WHERE id < 5");
  await clinic.rotate();
  await clinic.ship();
  clinic.lose();
  rmSync(clinic.walOnDisk);
  expect(await clinic.salvageClinic({ acceptDifference: true })).toMatchObject({
    outcome: "refused",
    error: { code: "SALVAGE_OLDER" },
  });
});

test("a damaged segment of the lost journal is made up for by the WAL", async () => {
  await using clinic = await LostClinic.begin();
  addVisits(clinic.application, 5);
  await clinic.rotate();
  addVisits(clinic.application, 5);
  clinic.lose();
  const path = join(clinic.segmentsOnDisk, "0000000000000002-0000000000000006.ltx");
  const bytes = readFileSync(path);
  bytes[200] = (bytes[200] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  expect(await clinic.salvageClinic()).toMatchObject({
    ...{ outcome: "salvaged", transactions: 10, unshippedSegments: 0, proved: true },
    notes: [expect.stringContaining("was not taken")],
  });
  expect(await clinic.compareMirror(clinic.shownByDisk())).toMatchObject({ identical: true });
});

test("what belongs to another mirror set, to this mirror itself or to another epoch is refused", async () => {
  await using clinic = await LostClinic.begin();
  await using other = await LostClinic.begin();
  addVisits(clinic.application, 3);
  clinic.lose();
  other.lose();
  const state = new Database(join(other.stateOnDisk, "state.db"));
  state.exec("UPDATE identity SET mirror = 'practice'");
  state.close();
  await expect(clinic.salvage({ from: other.stateOnDisk })).rejects.toMatchObject({ code: "SALVAGE_FOREIGN" });
  const own = join(clinic.root, "porto", "state");
  await expect(clinic.salvage({ from: own })).rejects.toMatchObject({ code: "SALVAGE_FOREIGN" });
  const copy = join(clinic.root, "copy-of-porto");
  execFileSync("cp", ["-r", own, copy]);
  await expect(clinic.salvage({ from: copy })).rejects.toMatchObject({ code: "SALVAGE_FOREIGN" });
  await expect(clinic.salvage({ from: join(clinic.root, "nowhere") })).rejects.toMatchObject({
    code: "SALVAGE_NOTHING_FOUND",
  });
  const lost = new Database(join(clinic.stateOnDisk, "state.db"));
  lost.exec("UPDATE role_state SET state = json_set(state, '$.epoch', 2)");
  lost.close();
  await expect(clinic.salvage()).rejects.toMatchObject({ code: "SALVAGE_EPOCH" });
  // The same database in another place is not a continuation of this journal, wherever its identity is.
  const [foreign] = (await clinic.salvage({ from: dirname(other.databaseOnDisk) })).databases;
  expect(foreign).toMatchObject({ outcome: "refused", error: { code: "SALVAGE_WAL_DIFFERENT" } });
  expect(visitsIn(databasePath(clinic.root, "porto"))).toBe(20);
});

test.for([
  { what: "the state directory", of: (clinic: LostClinic) => clinic.stateOnDisk, transactions: 8 },
  {
    what: "only the journal",
    of: (clinic: LostClinic) => moved(clinic, join(clinic.stateOnDisk, "journal")),
    transactions: 5,
  },
  {
    what: "only the database and its WAL",
    of: (clinic: LostClinic) => moved(clinic, dirname(clinic.databaseOnDisk)),
    transactions: 8,
  },
])("$what is enough to take what it holds", async ({ of, transactions }) => {
  await using clinic = await LostClinic.begin();
  addVisits(clinic.application, 5);
  await clinic.rotate();
  addVisits(clinic.application, 3);
  clinic.lose();
  expect(await clinic.salvageClinic({ from: of(clinic) })).toMatchObject({
    outcome: "salvaged",
    transactions,
    error: null,
  });
  expect(visitsIn(databasePath(clinic.root, "porto"))).toBe(20 + transactions);
});

test("a mirror that never got a snapshot begins with the lost member's", async () => {
  await using clinic = await LostClinic.begin({ shipped: false });
  addVisits(clinic.application, 5);
  clinic.lose();
  expect(await clinic.salvageClinic()).toMatchObject({ outcome: "salvaged", from: null, proved: true, error: null });
  expect(await clinic.compareMirror(clinic.shownByDisk())).toMatchObject({ identical: true });
});

test("a link that leads from the lost disk to this machine is not followed", async () => {
  await using clinic = await LostClinic.begin();
  addVisits(clinic.application, 3);
  clinic.lose();
  const journal = join(clinic.stateOnDisk, "journal");
  rmSync(journal, { recursive: true });
  symlinkSync(join(clinic.root, "porto", "state", "journal"), journal);
  await expect(clinic.salvage()).rejects.toMatchObject({ code: "SALVAGE_OUTSIDE" });
});

test("nothing is salvaged while the lost member's status goes on", async () => {
  await using clinic = await LostClinic.begin();
  addVisits(clinic.application, 3);
  clinic.lose();
  const mailbox = join(clinic.root, "lisbon", "mailbox");
  mkdirSync(mailbox, { recursive: true });
  const status = { ...clinic.mirror.ownStatus(), member: "lisbon", role: "operational", state: "operational" };
  let beats = 0;
  const beat = () => {
    const heartbeat = new Date(beats++ * 1000).toISOString();
    writeFileAtomically(join(mailbox, "status.json"), JSON.stringify({ ...status, heartbeat }));
  };
  beat();
  const timer = setInterval(beat, 20);
  try {
    await expect(clinic.salvage({ watchMs: 30_000 })).rejects.toMatchObject({ code: "SALVAGE_MEMBER_ALIVE" });
  } finally {
    clearInterval(timer);
  }
  expect(visitsIn(databasePath(clinic.root, "porto"))).toBe(20);
  expect(await clinic.salvageClinic({ watchMs: 100 })).toMatchObject({ outcome: "salvaged", transactions: 3 });
});

function addVisitsRefused(clinic: LostClinic): void {
  expect(() => addVisits(clinic.application, 1)).toThrow(/readonly/);
}

/** A place of which nothing is known but its contents. */
function moved(clinic: LostClinic, directory: string): string {
  const place = join(clinic.root, "rescued");
  renameSync(directory, place);
  return place;
}

/** Every alert is raised once and cleared once by what it is about, in members that are served. */
import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import type { AlertCode } from "../../src/alerts/alert-catalogue.ts";
import type { Member } from "../../src/member/member.ts";
import { webReceiver } from "../support/alert-receivers.ts";
import { alertHistory, openAlerting, serveAlerting } from "../support/alerting.ts";
import { deliverTo, journalFiles } from "../support/arrivals.ts";
import { addVisits, CLINIC, createClinic, databasePath } from "../support/members.ts";
import { until } from "../support/served-members.ts";
import { mountSmallFileSystem } from "../support/small-file-system.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MIB = 2 ** 20;

function createSet(): { root: string; clinic: Database.Database } {
  const root = temporaryDirectory();
  const clinic = createClinic(databasePath(root, "lisbon"));
  onTestFinished(() => {
    clinic.close();
  });
  addVisits(clinic, 10);
  return { root, clinic };
}

async function untilRaised(member: Member, ...codes: AlertCode[]): Promise<void> {
  const raised = () => member.ownStatus().alerts?.map(({ code }) => code) ?? [];
  await until(`${codes} are raised`, () => codes.every((code) => raised().includes(code)));
}

async function untilCleared(member: Member): Promise<void> {
  await until("nothing is raised", () => member.ownStatus().alerts?.length === 0);
}

async function untilLevel(mirror: Member, operational: Member): Promise<void> {
  const end = (member: Member) => member.context.store.database(CLINIC)?.integrated?.txid;
  await until("the mirror is level", () => end(operational) !== undefined && end(mirror) === end(operational));
}

/** Each code raised once, and then cleared once; nothing else. */
function expectOnce(member: Member, ...alerts: string[]): void {
  const history = alertHistory(member);
  expect([...history].sort()).toEqual(alerts.flatMap((alert) => [`CLEARED ${alert}`, `RAISED ${alert}`]).sort());
  for (const alert of alerts)
    expect(history.indexOf(`RAISED ${alert}`)).toBeLessThan(history.indexOf(`CLEARED ${alert}`));
}

test("a silent upstream: UPSTREAM_SILENT, RECEIVED_LAG, INTEGRATED_LAG, and no pings meanwhile", async () => {
  const { root } = createSet();
  const watcher = await webReceiver();
  const ping = { url: `${watcher.url}/alive`, interval: "1s" };
  const alerts = { upstreamSilent: "8s", receivedLag: "9s", integratedLag: "10s", ping };
  const first = await serveAlerting(root, "lisbon", { alerts: {} });
  const porto = await serveAlerting(root, "porto", { alerts });
  await untilLevel(porto.member, first.member);
  await until("it is pinged", () => watcher.requests.length > 2);
  expect(alertHistory(porto.member)).toEqual([]);
  await first.stop();
  await untilRaised(porto.member, "UPSTREAM_SILENT", "RECEIVED_LAG", "INTEGRATED_LAG");
  expect(porto.member.alerts.isHealthy).toBe(false);
  const silence = () => porto.member.ownStatus().upstreamAgeSeconds ?? 0;
  const since = silence();
  await until("the last ping has arrived", () => silence() > since + 1);
  const pings = watcher.requests.length;
  await until("some would have been due", () => silence() > since + 5);
  expect(watcher.requests.length).toBe(pings);
  await serveAlerting(root, "lisbon", { alerts: {} });
  await untilCleared(porto.member);
  await until("it is pinged again", () => watcher.requests.length > pings);
  expectOnce(porto.member, "UPSTREAM_SILENT", "RECEIVED_LAG", "INTEGRATED_LAG");
}, 120_000);

test("a mirror that was paused: INTEGRATED_LAG, and nothing of what it receives", async () => {
  const { root, clinic } = createSet();
  const lisbon = await serveAlerting(root, "lisbon", { alerts: {} });
  const porto = await serveAlerting(root, "porto", { alerts: { receivedLag: "8s", integratedLag: "8s" } });
  await untilLevel(porto.member, lisbon.member);
  await porto.member.pause();
  addVisits(clinic, 1);
  await untilRaised(porto.member, "INTEGRATED_LAG");
  await porto.member.resume();
  await untilCleared(porto.member);
  expectOnce(porto.member, "INTEGRATED_LAG");
}, 120_000);

test("a follower that was stopped: FOLLOWER_AWAY, RECEIPT_OLD, TOPOLOGY_UNSAFE", async () => {
  const { root, clinic } = createSet();
  const alerts = { followerAway: "5s", receiptAge: "5s", topologyUnsafe: "5s" };
  const lisbon = await serveAlerting(root, "lisbon", { alerts });
  const porto = await serveAlerting(root, "porto", { alerts: {} });
  await untilLevel(porto.member, lisbon.member);
  await until("lisbon has seen that it lives", () => lisbon.member.ownStatus().followers.porto?.reachable === true);
  expect(alertHistory(lisbon.member)).toEqual([]);
  await porto.stop();
  addVisits(clinic, 1);
  await untilRaised(lisbon.member, "FOLLOWER_AWAY", "RECEIPT_OLD", "TOPOLOGY_UNSAFE");
  await serveAlerting(root, "porto", { alerts: {} });
  await untilCleared(lisbon.member);
  expectOnce(lisbon.member, "FOLLOWER_AWAY porto", "RECEIPT_OLD porto", "TOPOLOGY_UNSAFE");
}, 120_000);

test("a journal that has grown: SPOOL_LARGE", async () => {
  const { root, clinic } = createSet();
  const journal = { maxBytes: "16MiB", retention: "0s" };
  const lisbon = await serveAlerting(root, "lisbon", { alerts: { spool: "40%" }, journal });
  const porto = await serveAlerting(root, "porto", { alerts: {}, journal });
  await untilLevel(porto.member, lisbon.member);
  clinic.exec("CREATE TABLE picture (id INTEGER PRIMARY KEY, bytes BLOB)");
  for (let i = 0; i < 8; i++) {
    clinic.prepare("INSERT OR REPLACE INTO picture VALUES (1, randomblob(?))").run(MIB);
    await lisbon.member.rotate();
  }
  await untilRaised(lisbon.member, "SPOOL_LARGE");
  await untilLevel(porto.member, lisbon.member);
  await lisbon.member.snapshot();
  await until("what nobody needs is gone", () => {
    void lisbon.member.purge({});
    return (lisbon.member.ownStatus().journal?.bytes ?? 0) < 4 * MIB;
  });
  await untilCleared(lisbon.member);
  expectOnce(lisbon.member, "SPOOL_LARGE");
}, 120_000);

test("a file system that fills up: FREE_SPACE_LOW, of the journal", async () => {
  const { root } = createSet();
  mkdirSync(join(root, "porto"));
  const small = mountSmallFileSystem(64 * MIB, join(root, "porto"));
  if (small === null) return;
  const lisbon = await serveAlerting(root, "lisbon", { alerts: {} });
  const porto = await serveAlerting(root, "porto", { alerts: { freeSpace: "20MiB" } });
  await untilLevel(porto.member, lisbon.member);
  writeFileSync(join(small.path, "ballast"), new Uint8Array(50 * MIB));
  await untilRaised(porto.member, "FREE_SPACE_LOW");
  rmSync(join(small.path, "ballast"));
  await untilCleared(porto.member);
  expectOnce(porto.member, "FREE_SPACE_LOW journal");
  await porto.stop();
}, 120_000);

test("a segment with a flipped byte: QUARANTINE, until somebody has removed it", async () => {
  const { root, clinic } = createSet();
  const lisbon = await serveAlerting(root, "lisbon", { alerts: {} });
  const porto = await serveAlerting(root, "porto", { alerts: { quarantine: 1 } });
  await untilLevel(porto.member, lisbon.member);
  await lisbon.stop();
  addVisits(clinic, 1);
  await using again = await openAlerting(root, "lisbon", { alerts: {} });
  await again.rotate();
  const file = (await journalFiles(again, CLINIC)).at(-1);
  if (file === undefined) throw new Error("nothing was cut");
  deliverTo(root, "porto", file, file.bytes.with(200, (file.bytes[200] ?? 0) ^ 1));
  await untilRaised(porto.member, "QUARANTINE");
  rmSync(join(root, "porto", "state", "quarantine", CLINIC), { recursive: true });
  await untilCleared(porto.member);
  expectOnce(porto.member, `QUARANTINE ${CLINIC}`);
}, 120_000);

const FLIP = `
  const fs = require("node:fs");
  const file = fs.openSync(process.argv[1], "r+");
  const byte = Buffer.alloc(1);
  fs.readSync(file, byte, 0, 1, 3 * 4096 + 2000);
  fs.writeSync(file, Buffer.of(byte[0] ^ 0xff), 0, 1, 3 * 4096 + 2000);
`;

test("a page that is damaged: VERIFICATION_FAILED, until a verification finds it right", async () => {
  const { root, clinic } = createSet();
  addVisits(clinic, 200);
  const lisbon = await serveAlerting(root, "lisbon", { alerts: {} });
  const porto = await serveAlerting(root, "porto", { alerts: {} });
  await untilLevel(porto.member, lisbon.member);
  await lisbon.stop();
  // All of it in the file itself, and none in its WAL.
  await porto.stop();
  const again = await serveAlerting(root, "porto", { alerts: {} });
  expect(await again.member.verify()).toMatchObject([{ ok: true }]);
  // From another process: closing a descriptor here would drop our locks.
  const flip = () => execFileSync(process.execPath, ["-e", FLIP, databasePath(root, "porto")]);
  flip();
  expect(await again.member.verify()).toMatchObject([{ ok: false }]);
  await untilRaised(again.member, "VERIFICATION_FAILED");
  flip();
  expect(await again.member.verify()).toMatchObject([{ ok: true }]);
  await untilCleared(again.member);
  expectOnce(again.member, `VERIFICATION_FAILED ${CLINIC}`);
}, 120_000);

test("a backup directory that cannot be written: BACKUP_FAILED and BACKUP_OLD", async () => {
  const { root } = createSet();
  const place = join(root, "backups");
  writeFileSync(place, "not a directory");
  const keys = { backup: { directory: join(place, "porto"), schedule: "*/3 * * * * *", keep: 2 } };
  const lisbon = await serveAlerting(root, "lisbon", { alerts: {}, keys });
  const porto = await serveAlerting(root, "porto", { alerts: { backupAge: "20s" }, keys });
  await untilLevel(porto.member, lisbon.member);
  await untilRaised(porto.member, "BACKUP_FAILED", "BACKUP_OLD");
  rmSync(place);
  mkdirSync(place);
  await untilCleared(porto.member);
  expectOnce(porto.member, "BACKUP_FAILED", "BACKUP_OLD");
}, 180_000);

test("a database whose file is not there: DATABASE_ERROR", async () => {
  const { root, clinic } = createSet();
  clinic.close();
  const path = databasePath(root, "lisbon");
  renameSync(path, `${path}.aside`);
  const lisbon = await serveAlerting(root, "lisbon", { alerts: { errors: "1s" } });
  await untilRaised(lisbon.member, "DATABASE_ERROR");
  const code = lisbon.member.ownStatus().databases[CLINIC]?.error?.code ?? "";
  renameSync(`${path}.aside`, path);
  await untilCleared(lisbon.member);
  expectOnce(lisbon.member, `DATABASE_ERROR ${code}`);
}, 120_000);

test("a member that was deposed: MEMBER_ERROR, until it has rejoined", async () => {
  const { root } = createSet();
  const first = await serveAlerting(root, "lisbon", { alerts: {} });
  const porto = await serveAlerting(root, "porto", { alerts: {} });
  await untilLevel(porto.member, first.member);
  await first.stop();
  await porto.member.promote({ force: "lisbon" });
  const lisbon = await serveAlerting(root, "lisbon", { alerts: { errors: "1s" } });
  await untilRaised(lisbon.member, "MEMBER_ERROR");
  await lisbon.member.rejoin({});
  await untilCleared(lisbon.member);
  expectOnce(lisbon.member, "MEMBER_ERROR DEPOSED");
}, 120_000);

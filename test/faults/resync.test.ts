/** Copies that hold something else than they should, made equal to the operational database again by the pages that differ. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { DATABASE, type DemoSet } from "../../src/demo/demo-set.ts";
import { ManagedProcess } from "../../src/demo/managed-process.ts";
import { startSftpDaemons } from "../../src/demo/sftp-mailboxes.ts";
import type { ResyncStep } from "../../src/member/mirror-resync.ts";
import { afterimage } from "../cli/afterimage.ts";
import { startChild } from "../support/child-process.ts";
import { readEvents } from "../support/events.ts";
import {
  createSet,
  killDaemon,
  MIRROR,
  OPERATIONAL,
  PAIR,
  startAll,
  stopAndCompare,
  untilLevel,
  untilReadable,
  untilSet,
} from "../support/mirror-set.ts";
import { expectCleanReader, lookAtOrders, startApplication, startReader, stopApplication } from "../support/orders.ts";

const DAEMON = join(import.meta.dirname, "killable-daemon.ts");
const ORDERS_PER_SECOND = 50;
/** Pages of an attachment, so that a whole copy is much more than what differs. */
const FILLER_BYTES = 8 * 1024 * 1024;
const PAGE_BYTES = 4096;
const FIRST_TXID = "0000000000000001";

/** Every step that a mirror names: leaving one out does not compile. */
const STEPS: Record<ResyncStep, true> = {
  "resync-begun": true,
  "resync-asked": true,
  "resync-verified": true,
  "resync-applied": true,
  "resync-adopted": true,
};

async function damagePages(path: string, pgnos: readonly number[]): Promise<void> {
  for (const pgno of pgnos) {
    const args = [path, String((pgno - 1) * PAGE_BYTES + 700), "90"];
    const editor = startChild(new URL("../sqlite/byte-editor.ts", import.meta.url), args);
    await editor.line((line) => line === "done");
  }
}

async function run(set: DemoSet, member: string, args: readonly string[]) {
  const all = [...args, "--json", "--config", set.configPath, "--node", member];
  const { code, stdout } = await afterimage(all, { cwd: set.root });
  return { code, answer: stdout === "" ? null : JSON.parse(stdout) };
}

function fill(set: DemoSet): void {
  const database = new Database(set.databasePath(OPERATIONAL), { timeout: 10_000 });
  database.exec("CREATE TABLE attachment (scan BLOB)");
  database.prepare("INSERT INTO attachment VALUES (randomblob(?))").run(FILLER_BYTES);
  database.close();
}

/** A pair with a running application, and a mirror that finds pages of its copy damaged. */
async function damagedPair() {
  const set = createSet(PAIR);
  const application = await startApplication(set, ORDERS_PER_SECOND);
  fill(set);
  await startAll(set);
  await untilSet(set, "the mirror has the attachment", () => {
    const pages = set.databaseStatus(MIRROR)?.pageCount ?? 0;
    return pages * PAGE_BYTES > FILLER_BYTES;
  });
  await set.daemon(MIRROR)?.terminate();
  await damagePages(set.databasePath(MIRROR), [900, 901, 1500]);
  set.startDaemon(MIRROR);
  await untilSet(set, "the damage is found", () => set.databaseStatus(MIRROR)?.error?.code === "MIRROR_INCONSISTENT");
  return { set, application };
}

function lastResync(set: DemoSet): { pages: number; bytes: number } {
  const { pages, bytes } = readEvents(set, MIRROR).findLast(({ code }) => code === "RESYNCED")?.data ?? {};
  return { pages: Number(pages), bytes: Number(bytes) };
}

test("a mirror whose pages were damaged fetches few pages from a running application, under an open reader", async () => {
  const { set, application } = await damagedPair();
  // Its own pages are not among the damaged ones.
  const reader = await startReader(set, MIRROR);
  const refused = await run(set, MIRROR, ["rebuild", DATABASE]);
  expect([refused.code, refused.answer]).toMatchObject([3, { error: { code: "NOT_CONFIRMED" } }]);
  const onOperational = await run(set, OPERATIONAL, ["rebuild", DATABASE, "--yes"]);
  expect([onOperational.code, onOperational.answer]).toMatchObject([3, { error: { code: "NOT_A_MIRROR" } }]);

  const { code, answer } = await run(set, MIRROR, ["rebuild", DATABASE, "--yes"]);
  expect([code, answer]).toMatchObject([
    0,
    {
      plans: [{ database: DATABASE, method: "resync", error: "MIRROR_INCONSISTENT", bytes: { replay: null } }],
      rebuilt: [{ database: DATABASE, state: "done", error: null }],
    },
  ]);
  const { pages, bytes } = lastResync(set);
  expect(pages).toBeGreaterThanOrEqual(3);
  expect(bytes).toBeLessThan(FILLER_BYTES / 8);

  await stopApplication(application);
  await untilLevel(set, lookAtOrders);
  await expectCleanReader(reader);
  expect(existsSync(join(set.mailboxPath(MIRROR), "resync", DATABASE))).toBe(false);
  expect(existsSync(join(set.statePath(MIRROR), "quarantine"))).toBe(false);
  const verified = await run(set, MIRROR, ["verify"]);
  expect(verified.answer).toMatchObject({ ok: true });
  await stopAndCompare(set);
  console.log(`${pages} pages in ${bytes} bytes`);
});

test("a rebuild by snapshot replaces a copy that is no database any more", async () => {
  const { set, application } = await damagedPair();
  await set.daemon(MIRROR)?.terminate();
  await damagePages(set.databasePath(MIRROR), [1]);
  const path = set.databasePath(MIRROR);
  const editor = startChild(new URL("../sqlite/byte-editor.ts", import.meta.url), [path, "3", "0"]);
  await editor.line((line) => line === "done");
  set.startDaemon(MIRROR);
  await untilSet(set, "the header is missed", () => set.databaseStatus(MIRROR)?.error?.code === "DATABASE_NOT_SQLITE");
  const { code, answer } = await run(set, MIRROR, ["rebuild", DATABASE, "--yes"]);
  expect([code, answer]).toMatchObject([0, { plans: [{ method: "snapshot" }], rebuilt: [{ state: "done" }] }]);
  expect(lastResync(set).bytes).toBeGreaterThan(FILLER_BYTES);
  await stopApplication(application);
  await untilLevel(set, lookAtOrders);
  await stopAndCompare(set);
});

test("page checksums and pages go over SFTP as well", async () => {
  const set = createSet(PAIR);
  const database = new Database(set.databasePath(OPERATIONAL));
  database.pragma("journal_mode = WAL");
  fill(set);
  await startSftpDaemons(set, (what, condition) => untilSet(set, what, condition).then(() => undefined));
  await untilReadable(set, MIRROR);
  // At the first transaction there is no difference but a snapshot.
  database.exec("CREATE TABLE visit (note TEXT)");
  await untilSet(
    set,
    "the mirror has both",
    () => set.isCaughtUp(MIRROR) && (set.databaseStatus(MIRROR)?.integrated?.txid ?? "") > FIRST_TXID,
  );
  await set.daemon(MIRROR)?.terminate();
  await damagePages(set.databasePath(MIRROR), [900, 1500]);
  set.startDaemon(MIRROR);
  await untilSet(set, "the damage is found", () => set.databaseStatus(MIRROR)?.error?.code === "MIRROR_INCONSISTENT");
  const { code, answer } = await run(set, MIRROR, ["rebuild", DATABASE, "--yes"]);
  expect([code, answer]).toMatchObject([0, { plans: [{ method: "resync" }], rebuilt: [{ state: "done" }] }]);
  expect(lastResync(set).pages).toBe(2);
  database.close();
  await stopAndCompare(set);
});

test("a resync that dies at every step, on either side, is done in the end", async () => {
  const { set, application } = await damagedPair();
  const reader = await startReader(set, MIRROR);
  const ordered = await set
    .daemon(MIRROR)
    ?.terminate()
    .then(() => run(set, MIRROR, ["rebuild", DATABASE, "--method", "resync", "--yes"]));
  expect(ordered).toMatchObject({ code: 0, answer: { rebuilt: [{ state: "ordered" }] } });
  for (const step of Object.keys(STEPS).filter((each) => each !== "resync-begun")) {
    expect([step, await diesAt(set, step)]).toEqual([step, "SIGKILL"]);
    const upstream = set.daemon(OPERATIONAL);
    if (upstream !== null) await killDaemon(upstream);
    set.startDaemon(OPERATIONAL);
  }
  set.startDaemon(MIRROR);
  await untilSet(set, "the copy is equal", () => {
    const status = set.databaseStatus(MIRROR);
    return status?.resync == null && status?.error === null;
  });
  await stopApplication(application);
  await untilLevel(set, lookAtOrders);
  await expectCleanReader(reader);
  await stopAndCompare(set);
});

/** Runs the mirror's daemon until it kills itself at `step`, and returns the signal that it died of. */
async function diesAt(set: DemoSet, step: string): Promise<string | null> {
  const log = join(set.root, `${MIRROR}.log`);
  const args = [DAEMON, set.configPath, MIRROR, step, "1"];
  const daemon = ManagedProcess.start(MIRROR, process.execPath, args, log);
  onTestFinished(() => daemon.kill("SIGKILL"));
  return (await daemon.exited).signal;
}

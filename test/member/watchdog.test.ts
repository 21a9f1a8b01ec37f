import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { waitUntil } from "../../src/demo/wait-until.ts";
import type { Member } from "../../src/member/member.ts";
import { RotationTimes } from "../../src/member/rotation-times.ts";
import { STALL_LIMIT_MS } from "../../src/member/watchdog.ts";
import { DirectoryTransport } from "../../src/transport/directory-transport.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { addVisits, CLINIC, createClinic, databasePath, openMember } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const LOOK_MS = 2_000;

/** A clock that only the test moves, and what the watchdog of a member says by it. */
class Watch {
  nowMs = Date.parse("2026-03-01T12:00:00Z");

  /** Lets time pass, and the watchdog look every 2 s; `meanwhile` is done before every look. */
  async pass(member: Member, ms: number, meanwhile: () => Promise<void> | void = () => {}): Promise<void> {
    for (let passed = 0; passed < ms; passed += LOOK_MS) {
      this.nowMs += LOOK_MS;
      await meanwhile();
      member.watchdog.look();
    }
  }
}

function errorOf(member: Member): string | null {
  return member.ownStatus().databases[CLINIC]?.error?.code ?? null;
}

function countEvents(member: Member, code: string): number {
  return member.context.store.events({}).filter((event) => event.code === code).length;
}

async function until(what: string, condition: () => boolean): Promise<void> {
  await waitUntil(condition, { what, stalledAfterMs: 30_000 });
}

interface Pair {
  readonly root: string;
  readonly watch: Watch;
  readonly lisbon: Member;
  readonly database: Database.Database;
}

async function openLisbon(): Promise<Pair> {
  const root = temporaryDirectory();
  const watch = new Watch();
  const database = createClinic(databasePath(root, "lisbon"));
  mkdirSync(join(root, "porto", "mailbox"), { recursive: true });
  const lisbon = await openMember(root, "lisbon", () => watch.nowMs, { rotate: "continuous" });
  await lisbon.rotate();
  lisbon.watchdog.look();
  onTestFinished(async () => {
    database.close();
    await lisbon.close();
  });
  return { root, watch, lisbon, database };
}

/** Runs lisbon's shipper to porto while `act` runs. */
async function shipping(lisbon: Member, act: () => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const running = lisbon.shippers.get("porto")?.run(stop.signal);
  try {
    await act();
  } finally {
    stop.abort();
    await running;
  }
}

/** A mailbox that takes no more files until it is let go. */
function heldMailbox(directory: string): { transport: Transport; letGo: () => void; wanted: () => boolean } {
  const target = new DirectoryTransport(directory);
  const gate = Promise.withResolvers<void>();
  let wanted = false;
  const transport: Transport = {
    put: async (...args) => {
      wanted = true;
      await gate.promise;
      return await target.put(...args);
    },
    read: (...args) => target.read(...args),
    get: (...args) => target.get(...args),
    list: (...args) => target.list(...args),
    remove: (...args) => target.remove(...args),
    publish: (...args) => target.publish(...args),
    close: async () => undefined,
  };
  return { transport, letGo: gate.resolve, wanted: () => wanted };
}

test("capture that stands still while the WAL grows is an error, raised and cleared once", async () => {
  const { watch, lisbon, database } = await openLisbon();
  const write = () => addVisits(database, 1);
  await watch.pass(lisbon, STALL_LIMIT_MS, write);
  expect(errorOf(lisbon)).toBeNull();
  await watch.pass(lisbon, 4 * STALL_LIMIT_MS, write);
  expect(errorOf(lisbon)).toBe("CAPTURE_STALLED");
  expect(countEvents(lisbon, "CAPTURE_STALLED")).toBe(1);

  await lisbon.operational.get(CLINIC)?.poll({ rotate: true });
  await watch.pass(lisbon, LOOK_MS);
  expect(errorOf(lisbon)).toBeNull();
  expect(countEvents(lisbon, "RECOVERED")).toBe(1);
  await watch.pass(lisbon, 4 * STALL_LIMIT_MS);
  expect(countEvents(lisbon, "CAPTURE_STALLED")).toBe(1);
});

test("neither capture that moves, nor a database without commits, nor a process that was stopped has an error", async () => {
  const { watch, lisbon, database } = await openLisbon();
  await watch.pass(lisbon, 4 * STALL_LIMIT_MS);
  await watch.pass(lisbon, 4 * STALL_LIMIT_MS, async () => {
    await lisbon.operational.get(CLINIC)?.poll({ rotate: true });
    addVisits(database, 1);
  });
  await watch.pass(lisbon, STALL_LIMIT_MS - 3 * LOOK_MS);
  watch.nowMs += 100 * STALL_LIMIT_MS;
  lisbon.watchdog.look();
  await watch.pass(lisbon, LOOK_MS, () => lisbon.operational.get(CLINIC)?.poll({ rotate: true }));
  expect(countEvents(lisbon, "CAPTURE_STALLED")).toBe(0);
});

test("an error that capture reports itself is left as it is", async () => {
  const { root, watch, lisbon, database } = await openLisbon();
  addVisits(database, 1);
  await watch.pass(lisbon, 2 * STALL_LIMIT_MS);
  expect(errorOf(lisbon)).toBe("CAPTURE_STALLED");
  renameSync(databasePath(root, "lisbon"), join(root, "elsewhere.db"));
  await watch.pass(lisbon, 2 * STALL_LIMIT_MS, () => lisbon.operational.get(CLINIC)?.poll({ rotate: true }));
  expect(errorOf(lisbon)).toBe("DATABASE_MISSING");
  expect(countEvents(lisbon, "CAPTURE_STALLED")).toBe(1);
});

test("with a schedule capture is due since the last rotation, and not for what was committed later", async () => {
  const { watch, lisbon, database } = await openLisbon();
  const duty = lisbon.operational.get(CLINIC);
  await duty?.poll({ rotate: true });
  const rotatedAtMs = watch.nowMs;
  addVisits(database, 1);
  expect(duty?.isCaptureDue(rotatedAtMs)).toBe(false);
  expect(duty?.isCaptureDue(rotatedAtMs + 1)).toBe(true);
  watch.nowMs += LOOK_MS;
  await duty?.poll({ rotate: false });
  expect(duty?.isCaptureDue(rotatedAtMs + 1)).toBe(true);
  await duty?.poll({ rotate: true });
  expect(duty?.isCaptureDue(rotatedAtMs + 1)).toBe(false);

  const times = new RotationTimes();
  const everySecond = { kind: "cron", expression: "* * * * * *" } as const;
  const startedAtMs = Date.now();
  expect(times.lastDueMs({ kind: "continuous" }, null)).toBeNull();
  expect(times.lastDueMs(everySecond, "Europe/Lisbon")).toBe(Number.NEGATIVE_INFINITY);
  await until("a rotation is due", () => (times.lastDueMs(everySecond, "Europe/Lisbon") ?? 0) > startedAtMs);
});

test("a long reader that keeps the WAL from being shortened is a warning, until it ends", async () => {
  const { root, watch, lisbon, database } = await openLisbon();
  const reader = new Database(databasePath(root, "lisbon"), { readonly: true });
  reader.exec("BEGIN; SELECT count(*) FROM visit");
  reader.prepare("SELECT count(*) FROM visit").get();
  addVisits(database, 1_000);
  const turn = () => lisbon.operational.get(CLINIC)?.poll({ rotate: true });
  await watch.pass(lisbon, STALL_LIMIT_MS, turn);
  const warnings = () => lisbon.ownStatus().databases[CLINIC]?.warnings.map(({ code }) => code);
  expect(warnings()).toEqual([]);
  await watch.pass(lisbon, STALL_LIMIT_MS, turn);
  expect(warnings()).toEqual(["WAL_NOT_SHORTENED"]);
  expect(errorOf(lisbon)).toBeNull();
  const [event] = lisbon.context.store.events({}).filter(({ code }) => code === "WAL_NOT_SHORTENED");
  expect(event?.data).toMatchObject({ walBytes: lisbon.operational.get(CLINIC)?.walBytes });

  reader.close();
  await watch.pass(lisbon, 2 * LOOK_MS, turn);
  expect(warnings()).toEqual([]);
  expect(countEvents(lisbon, "WAL_NOT_SHORTENED")).toBe(1);
  expect(countEvents(lisbon, "RECOVERED")).toBe(1);
});

test("segments that are not shipped, while nothing says why, are an error of the follower", async () => {
  const { root, watch, lisbon } = await openLisbon();
  const held = heldMailbox(join(root, "porto", "mailbox"));
  const peer = lisbon.peers.get("porto");
  if (peer === undefined) throw new Error("lisbon has no follower");
  peer.transport = () => held.transport;
  const error = () => lisbon.ownStatus().followers.porto?.error?.code ?? null;
  await shipping(lisbon, async () => {
    await until("the shipper ships", held.wanted);
    await watch.pass(lisbon, 3 * STALL_LIMIT_MS);
    expect(error()).toBe("SHIPPING_STALLED");
    held.letGo();
    await until("it is shipped", () => lisbon.shippers.get("porto")?.isDue === false);
    await watch.pass(lisbon, 3 * STALL_LIMIT_MS);
    expect(error()).toBeNull();
  });
  expect(countEvents(lisbon, "SHIPPING_STALLED")).toBe(1);
  expect(countEvents(lisbon, "RECOVERED")).toBe(1);
});

test("integration that stands still is an error, though its own loop waits for ever; a pause is none", async () => {
  const { root, watch, lisbon, database } = await openLisbon();
  const shipAll = () => shipping(lisbon, () => until("all is shipped", () => !lisbon.shippers.get("porto")?.isDue));
  await shipAll();
  await using porto = await openMember(root, "porto", () => watch.nowMs);
  await porto.integrate();
  porto.watchdog.look();
  addVisits(database, 3);
  await lisbon.rotate();
  await shipAll();
  const duty = porto.mirrors.get(CLINIC);
  await duty?.inbox.scan(null);
  await porto.pause();
  await watch.pass(porto, 3 * STALL_LIMIT_MS);
  expect(errorOf(porto)).toBeNull();
  await porto.resume();

  addVisits(database, 3);
  await lisbon.rotate();
  await shipAll();
  const gate = Promise.withResolvers<void>();
  const { journal } = porto.context;
  const adoptAll = journal.adoptAll.bind(journal);
  journal.adoptAll = async (group) => {
    await gate.promise;
    return await adoptAll(group);
  };
  const stuck = duty?.poll(null);
  await watch.pass(porto, 3 * STALL_LIMIT_MS);
  expect(errorOf(porto)).toBe("INTEGRATION_STALLED");
  gate.resolve();
  await stuck;
  await watch.pass(porto, 3 * STALL_LIMIT_MS);
  expect(errorOf(porto)).toBeNull();
  expect(countEvents(porto, "INTEGRATION_STALLED")).toBe(1);
  expect(await porto.verify()).toMatchObject([{ ok: true }]);
});

import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { waitUntil } from "../../src/demo/wait-until.ts";
import type { Member } from "../../src/member/member.ts";
import {
  addVisits,
  CLINIC,
  createClinic,
  databasePath,
  inboxPath,
  type JournalKeys,
  openMember,
} from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const BY_COMMAND: JournalKeys = { rotate: "0 0 29 2 *", ship: "0 0 29 2 *" };
const EVERY_SECOND: JournalKeys = { ...BY_COMMAND, ship: "* * * * * *" };

function arrived(root: string): string[] {
  const inbox = inboxPath(root, "porto");
  return existsSync(inbox) ? readdirSync(inbox).filter((name) => !name.startsWith(".")) : [];
}

function makeMailbox(root: string): void {
  mkdirSync(join(root, "porto", "mailbox"), { recursive: true });
}

async function until(what: string, condition: () => boolean): Promise<void> {
  await waitUntil(condition, { what, stalledAfterMs: 20_000 });
}

/** Runs the member's daemon in this process until it is disposed of. */
async function serving(member: Member): Promise<AsyncDisposable> {
  const stop = new AbortController();
  const running = member.run(stop.signal);
  const published = join(member.context.self.directory, "status.json");
  await until("it serves", () => member.running && existsSync(published));
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

function ends(position: string): object {
  return { database: CLINIC, shipped: position, end: position };
}

test("segments go at the scheduled times, all that were cut by then", async () => {
  const root = temporaryDirectory();
  const application = createClinic(databasePath(root, "lisbon"));
  makeMailbox(root);
  await using lisbon = await openMember(root, "lisbon", undefined, EVERY_SECOND);
  await lisbon.rotate();
  await using _serves = await serving(lisbon);
  await until("the snapshot", () => arrived(root).length === 1);
  addVisits(application, 2);
  await lisbon.rotate();
  await until("the segment", () => arrived(root).length === 2);
  application.close();
});

test("between the times segments wait, receipts are read, and ship and sync ship at once", async () => {
  const root = temporaryDirectory();
  const application = createClinic(databasePath(root, "lisbon"));
  makeMailbox(root);
  await using lisbon = await openMember(root, "lisbon", undefined, BY_COMMAND);
  await using porto = await openMember(root, "porto");
  await lisbon.rotate();
  await using _lisbonServes = await serving(lisbon);
  await using _portoServes = await serving(porto);
  await until("porto is known", () => lisbon.ownStatus().followers.porto?.reachable === true);
  expect(arrived(root)).toEqual([]);

  expect(await lisbon.ship({})).toEqual([{ member: "porto", error: null, databases: [ends("0000000000000001")] }]);
  addVisits(application, 1);
  await lisbon.rotate();
  const receivedBy = () => lisbon.ownStatus().followers.porto?.databases[CLINIC]?.received ?? null;
  await until("the receipt", () => receivedBy() === "0000000000000001");
  expect(lisbon.ownStatus().followers.porto?.databases[CLINIC]?.shipped).toBe("0000000000000001");

  addVisits(application, 1);
  const synced = await lisbon.sync({ timeoutMs: 20_000 });
  expect(synced).toEqual([{ member: "porto", database: CLINIC, integrated: "0000000000000003" }]);
  application.close();
});

test("what could not be shipped is said, and goes by itself once the follower can be reached", async () => {
  const root = temporaryDirectory();
  createClinic(databasePath(root, "lisbon")).close();
  await using lisbon = await openMember(root, "lisbon", undefined, BY_COMMAND);
  await lisbon.rotate();
  await using _serves = await serving(lisbon);
  for (let attempt = 0; attempt < 4; attempt++) {
    // Each call is an attempt of its own: it does not wait until the last failure is long enough ago.
    const [shipped] = await lisbon.ship({ members: ["porto"] });
    expect(shipped).toMatchObject({ error: { code: "TARGET_MISSING" }, databases: [{ shipped: "0000000000000000" }] });
  }
  makeMailbox(root);
  await until("the snapshot", () => arrived(root).length === 1);
  await expect(lisbon.ship({ members: ["faro"] })).rejects.toMatchObject({ code: "FOLLOWER_UNKNOWN" });
});

test("a follower that asks again for what it was sent gets it between the times, too", async () => {
  const root = temporaryDirectory();
  const application = createClinic(databasePath(root, "lisbon"));
  makeMailbox(root);
  await using lisbon = await openMember(root, "lisbon", undefined, BY_COMMAND);
  await lisbon.rotate();
  await using _serves = await serving(lisbon);
  await lisbon.ship({});
  addVisits(application, 2);
  await lisbon.rotate();
  {
    await using porto = await openMember(root, "porto");
    await porto.integrate();
  }
  await lisbon.ship({});
  rmSync(join(inboxPath(root, "porto"), "0000000000000002-0000000000000003.ltx"));

  await using porto = await openMember(root, "porto");
  await using _portoServes = await serving(porto);
  const integrated = () => porto.ownStatus().databases[CLINIC]?.integrated?.txid;
  await until("porto has it", () => integrated() === "0000000000000003");
  application.close();
});

test("an order that nobody carries out any more is answered", async () => {
  const root = temporaryDirectory();
  createClinic(databasePath(root, "lisbon")).close();
  await using lisbon = await openMember(root, "lisbon", undefined, BY_COMMAND);
  expect(await lisbon.shippers.get("porto")?.ship()).toMatchObject({ error: { code: "SHIPPING_STOPPED" } });
});

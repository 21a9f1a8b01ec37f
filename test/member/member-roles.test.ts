import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { Member } from "../../src/member/member.ts";
import type { EpochDocument } from "../../src/roles/role-documents.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import { type MemberStatus, parseMemberStatus } from "../../src/status/member-status.ts";
import { addVisits, CLINIC, createClinic, databasePath, openMember } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const AT = "2026-01-01T00:00:00.000Z";

function begun(epoch: number, member: string, starts: Record<string, string> = {}): EpochDocument {
  return { epoch, member, reason: epoch === 1 ? "initial" : "promotion", startedAt: AT, starts };
}

async function opened(root: string, name: string): Promise<Member> {
  const member = await openMember(root, name);
  onTestFinished(() => member.close());
  return member;
}

/** Runs the member's daemon here until the test is over. */
function running(member: Member): AbortController {
  const stop = new AbortController();
  const done = member.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await done;
  });
  return stop;
}

/** Puts into a member's mailbox what it would say with such a history. */
function publish(root: string, said: MemberStatus, history: readonly EpochDocument[]): void {
  const mailbox = join(root, said.member, "mailbox");
  mkdirSync(mailbox, { recursive: true });
  writeFileSync(join(mailbox, "status.json"), JSON.stringify({ ...said, history }));
}

function readStatus(root: string, member: string): MemberStatus | null {
  const path = join(root, member, "mailbox", "status.json");
  return existsSync(path) ? parseMemberStatus(readFileSync(path, "utf8")) : null;
}

const untilTrue = async (what: string, condition: () => boolean) =>
  await waitUntil(() => condition() || null, { what, stalledAfterMs: 20_000, progress: () => "" });

test("the first operational member begins epoch 1, and its mirrors learn of it from its status", async () => {
  const root = temporaryDirectory();
  createClinic(databasePath(root, "lisbon")).close();
  const lisbon = await opened(root, "lisbon");
  const porto = await opened(root, "porto");
  expect(lisbon.ownStatus().history).toEqual([{ ...begun(1, "lisbon"), startedAt: expect.stringMatching(/Z$/) }]);
  expect(porto.ownStatus().history).toEqual([]);

  publish(root, lisbon.ownStatus(), lisbon.ownStatus().history);
  await porto.upstream?.refresh();
  expect(porto.ownStatus().history).toEqual(lisbon.ownStatus().history);
  expect(porto.context.store.events({}).map(({ code }) => code)).toContain("EPOCH_LEARNED");
});

test("a mirror follows whoever is operational in the newest epoch", async () => {
  const root = temporaryDirectory();
  const porto = await opened(root, "porto");
  expect(porto.plan()).toMatchObject({ upstream: "lisbon", followers: [], duty: "mirror" });
  porto.roles.learn("lisbon", [begun(1, "lisbon"), begun(2, "porto"), begun(3, "lisbon")]);
  expect(porto.plan()).toMatchObject({ upstream: "lisbon", epoch: 3 });
  expect(porto.context.store.role()).toEqual({ role: "mirror", epoch: 3 });
});

test("two members that began one epoch are an error, and nothing else changes", async () => {
  const root = temporaryDirectory();
  const lisbon = await opened(root, "lisbon");
  lisbon.roles.learn("porto", [begun(1, "porto")]);
  lisbon.roles.learn("porto", [begun(1, "porto")]);
  expect(lisbon.ownStatus().errors).toMatchObject([{ code: "EPOCH_SPLIT" }]);
  expect(lisbon.roles.state).toEqual({ role: "operational", epoch: 1 });
  const splits = lisbon.context.store.events({}).filter(({ code }) => code === "EPOCH_SPLIT");
  expect(splits).toHaveLength(1);
});

test("an operational member that starts after another one took over is deposed before anything is captured", async () => {
  const root = temporaryDirectory();
  const application = createClinic(databasePath(root, "lisbon"));
  addVisits(application, 3);
  application.close();
  const lisbon = await opened(root, "lisbon");
  const porto = await opened(root, "porto");
  publish(root, porto.ownStatus(), [...lisbon.ownStatus().history, begun(4, "porto")]);
  running(lisbon);
  await untilTrue("lisbon is fenced", () => readStatus(root, "lisbon")?.state === "fenced");
  expect(await isFenced(databasePath(root, "lisbon"))).toBe(true);
  expect(lisbon.context.store.segments(CLINIC)).toEqual([]);
  expect(readStatus(root, "lisbon")).toMatchObject({
    role: "mirror",
    epoch: 4,
    errors: [{ code: "DEPOSED", hint: expect.stringContaining("rejoin") }],
    databases: { [CLINIC]: { fenced: true } },
  });
  const codes = lisbon.context.store.events({}).map(({ code }) => code);
  expect(codes).not.toContain("OPERATIONAL_CONFIRMED");
});

test("with `onIsolation: fence` an operational member that reaches nobody is fenced until it does", async () => {
  const root = temporaryDirectory();
  const application = createClinic(databasePath(root, "lisbon"));
  onTestFinished(() => void application.close());
  const porto = await opened(root, "porto");
  const [configuration, logger] = [
    { ...porto.context.configuration, onIsolation: "fence" as const },
    porto.context.logger,
  ];
  const lisbon = await Member.open({ configuration, member: "lisbon", logger });
  onTestFinished(() => lisbon.close());
  lisbon.context.store.saveReceipt({ member: "porto", status: "{}", seenAtMs: 1 });
  running(lisbon);
  await untilTrue("lisbon is fenced", () => readStatus(root, "lisbon")?.state === "fenced");
  expect(readStatus(root, "lisbon")?.errors).toMatchObject([{ code: "ISOLATED" }]);
  expect(() => addVisits(application, 1)).toThrow(/readonly/);
  expect(lisbon.context.store.role()).toEqual({ role: "claimed", epoch: 1 });

  publish(root, porto.ownStatus(), []);
  await untilTrue("lisbon serves", () => readStatus(root, "lisbon")?.state === "operational");
  expect(lisbon.context.store.role()).toEqual({ role: "operational", epoch: 1 });
  const again = new Database(databasePath(root, "lisbon"));
  addVisits(again, 2);
  again.close();
  await lisbon.rotate();
  expect(lisbon.context.store.database(CLINIC)?.received?.txid).toBeGreaterThanOrEqual(2n);
});

test("an operational member that learns of a later epoch refuses writes and cuts what was committed", async () => {
  const root = temporaryDirectory();
  const application = createClinic(databasePath(root, "lisbon"));
  onTestFinished(() => void application.close());
  const lisbon = await opened(root, "lisbon");
  const porto = await opened(root, "porto");
  publish(root, porto.ownStatus(), []);
  running(lisbon);
  await untilTrue("the journal has begun", () => lisbon.context.store.segments(CLINIC).length > 0);
  expect(lisbon.context.store.events({}).map(({ code }) => code)).toContain("OPERATIONAL_CONFIRMED");
  addVisits(application, 5);
  publish(root, { ...porto.ownStatus(), heartbeat: AT }, [...lisbon.ownStatus().history, begun(2, "porto")]);
  await untilTrue("lisbon is fenced", () => readStatus(root, "lisbon")?.state === "fenced");

  expect(() => addVisits(application, 1)).toThrow(/readonly/);
  expect(lisbon.context.store.database(CLINIC)?.received?.txid).toBeGreaterThanOrEqual(6n);
  await untilTrue("nothing is shipped any more", () => lisbon.shippers.size === 0);
  using reader = {
    database: new Database(databasePath(root, "lisbon"), { readonly: true }),
    [Symbol.dispose]() {
      this.database.close();
    },
  };
  expect(reader.database.prepare("SELECT count(*) FROM visit").pluck().get()).toBe(5);
});

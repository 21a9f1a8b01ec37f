import { expect, test } from "vitest";
import { buildPageView, type PageFacts } from "../../src/page/build-page-view.ts";
import type { KnownMember } from "../../src/page/member-ages.ts";
import type { PageMember } from "../../src/page/page-view.ts";
import { anError } from "../http/health-facts.ts";
import { known, lisbonOf, pageFacts, receipts, silent, statusOf } from "./page-facts.ts";

const HUB = lisbonOf({ followers: { porto: receipts(), faro: receipts({}, { via: "porto" }) } });

function viewOf(members: readonly KnownMember[], overrides: Partial<PageFacts> = {}) {
  const [self] = members;
  if (self === undefined) throw new Error("nobody answers");
  return buildPageView({ ...pageFacts(self.status, members), ...overrides });
}

function member(name: string, members: readonly KnownMember[]): PageMember | undefined {
  return viewOf(members).members.find((each) => each.name === name);
}

test("a member of which nothing was read yet stands where receipts say", () => {
  const unread = { ...silent(statusOf({ member: "faro" })), role: null, follows: null, databases: {} };
  const faro = member("faro", [known(HUB), known(statusOf()), known(unread, null)]);
  expect(faro).toMatchObject({ role: "mirror", follows: "porto", state: "seen by porto", isSeen: true, level: "ok" });
  expect(faro?.ages).toEqual({ receivedSeconds: 0, integratedSeconds: 0 });
});

test("that a member waited a while ago is over when receipts prove that something arrives", () => {
  const waiting = statusOf({ member: "faro", state: "waiting", follows: "porto" });
  const among = (hub = HUB, newsSeconds = 20) =>
    member("faro", [known(hub), known(statusOf()), known(waiting, newsSeconds)]);
  expect(among()).toMatchObject({ state: "synchronizing", level: "ok" });
  expect(among(HUB, 1)).toMatchObject({ state: "waiting", level: "warn" });
  const behind = lisbonOf({ followers: { porto: receipts(), faro: receipts({ unreceivedSeconds: 60 }) } });
  expect(among(behind)).toMatchObject({ state: "waiting", level: "warn" });
});

test("with many databases those in trouble come first, then the oldest, and the rest is counted", () => {
  const [sound] = Object.values(statusOf().databases);
  const named = Array.from({ length: 200 }, (_, i): [string, object] => [
    `db${i}`,
    { ...sound, staleSeconds: i === 150 ? 60 : 1 },
  ]);
  const databases = { ...Object.fromEntries(named), db199: { ...sound, error: anError("DISK_LOW") } };
  const { total, shown } = viewOf([known(statusOf({ databases }))]).databases;
  expect([total, shown.length]).toEqual([200, 25]);
  expect(shown.slice(0, 3).map(({ name, level, state }) => [name, level, state])).toEqual([
    ["db199", "error", "DISK_LOW"],
    ["db150", "ok", "read-only"],
    ["db0", "ok", "read-only"],
  ]);
});

test("databases without a backup come first, and a schedule that rests is said to", () => {
  const { shop } = lisbonOf().databases;
  const lisbon = lisbonOf({ databases: { shop, bills: shop } });
  const backup = {
    schedule: "0 3 * * *",
    directory: "/b",
    keep: 2,
    keepForMs: null,
    check: "full",
    allowOperational: false,
  } as const;
  const { backups } = viewOf([known(lisbon)], { backup, backups: new Map([["shop", 0]]) });
  expect(backups).toMatchObject({ missing: 1, keep: 2, idle: expect.stringContaining("mirror again") });
  expect(backups.newest.map(({ database, time }) => [database, time])).toEqual([
    ["bills", null],
    ["shop", "1970-01-01T00:00:00.000Z"],
  ]);
});

test("what a member is busy with is said once, however many databases it is about", () => {
  const hold = { by: "operator", message: "paused by an operator" };
  const { shop } = statusOf().databases;
  const databases = { shop: { ...shop, hold, paused: true }, bills: { ...shop, hold, paused: true } };
  const porto = statusOf({ databases, state: "paused" });
  expect(member("porto", [known(porto), known(lisbonOf())])).toMatchObject({
    notes: ["paused by an operator (2 databases)"],
    level: "warn",
  });
});

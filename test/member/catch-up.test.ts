import { expect, test } from "vitest";
import { formatTxid, parseTxid, type Txid, toTxid } from "../../src/ltx/position.ts";
import type { UpstreamEnd } from "../../src/member/backlog.ts";
import { CatchUp } from "../../src/member/catch-up.ts";
import type { Member } from "../../src/member/member.ts";
import { deliverTo, type JournalFile, journalFiles } from "../support/arrivals.ts";
import { addVisits, createClinic } from "../support/members.ts";
import { openSetMember, type SetShape, setDatabasePath } from "../support/set-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SHAPE: SetShape = { mirror: "clinic", databases: ["patients"], members: ["lisbon", "porto"] };
const START_MS = Date.parse("2026-03-01T12:00:00Z");
const MINUTE_MS = 60_000;
const SEGMENTS = 6;

/** A snapshot, and a segment a minute. */
async function makeJournal(): Promise<readonly JournalFile[]> {
  const root = temporaryDirectory();
  let nowMs = START_MS;
  await using lisbon = await openSetMember(root, "lisbon", SHAPE, { nowMs: () => nowMs });
  const database = createClinic(setDatabasePath(root, "lisbon", "patients"));
  for (let i = 0; i <= SEGMENTS; i++) {
    addVisits(database, 1);
    await lisbon.rotate();
    nowMs += MINUTE_MS;
  }
  database.close();
  return await journalFiles(lisbon, "patients");
}

function lastTxid(file: JournalFile | undefined): Txid {
  return parseTxid(file?.name.slice(17, 33) ?? "") ?? toTxid(0n);
}

function codes(member: Member): string[] {
  const events = member.context.store.events({});
  return events.map(({ code }) => code).filter((code) => code === "CATCHING_UP" || code === "CAUGHT_UP");
}

test("a mirror that was away says once how far it is behind and once that it is level, and nothing at ordinary lag", async () => {
  const journal = await makeJournal();
  const root = temporaryDirectory();
  const end = (index: number): UpstreamEnd => ({
    txid: lastTxid(journal[index]),
    timeMs: START_MS + index * MINUTE_MS,
    isCertain: true,
  });
  const options = { nowMs: () => START_MS };
  {
    await using porto = await openSetMember(root, "porto", SHAPE, options);
    const duty = porto.mirrors.get("patients");
    for (let i = 0; i < 3; i++) {
      const file = journal[i];
      if (file !== undefined) deliverTo(root, "porto", file);
      await duty?.poll(end(i));
    }
    expect(codes(porto)).toEqual([]);
  }
  await using porto = await openSetMember(root, "porto", SHAPE, options);
  const duty = porto.mirrors.get("patients");
  // Of the upstream's three segments only one has come yet.
  for (const file of journal.slice(3, 4)) deliverTo(root, "porto", file);
  await duty?.poll(end(5));
  expect(codes(porto)).toEqual(["CATCHING_UP"]);
  const { progress, integrated } = porto.ownStatus().databases.patients ?? {};
  expect(integrated?.txid).toBe(formatTxid(end(3).txid));
  expect(progress).toMatchObject({ transactions: expect.any(Number), bytes: expect.any(Number) });
  for (const file of journal.slice(4, 6)) deliverTo(root, "porto", file);
  await duty?.poll(end(5));
  expect(codes(porto)).toEqual(["CATCHING_UP", "CAUGHT_UP"]);
  expect(porto.ownStatus().databases.patients?.progress).toBeNull();
  await porto.pause();
  for (const file of journal.slice(6)) deliverTo(root, "porto", file);
  await duty?.poll(end(6));
  expect(codes(porto)).toEqual(["CATCHING_UP", "CAUGHT_UP"]);
  // After a pause it is behind by a minute again.
  await porto.resume();
  await duty?.poll(end(6));
  expect(codes(porto)).toEqual(["CATCHING_UP", "CAUGHT_UP", "CATCHING_UP", "CAUGHT_UP"]);
});

test("how much is left, how fast it goes and how long it will take is of the last seconds", async () => {
  const root = temporaryDirectory();
  let nowMs = START_MS;
  await using porto = await openSetMember(root, "porto", SHAPE, { nowMs: () => nowMs });
  const { store } = porto.context;
  const position = (txid: bigint) => ({
    epoch: 1,
    txid: toTxid(txid),
    checksum: store.database("patients")?.received?.checksum ?? (1n as never),
  });
  const target = (txid: bigint) => ({ txid: toTxid(txid), timeMs: START_MS, isCertain: true });
  const integrate = (txid: bigint) =>
    store.saveDatabase("patients", { integrated: position(txid), integratedTimeMs: START_MS - MINUTE_MS });
  const catchUp = new CatchUp(porto.context, "patients");
  integrate(1000n);
  catchUp.look(target(2000n));
  expect(catchUp.progress).toEqual({ transactions: 1000, bytes: 0, perSecond: null, secondsLeft: null });
  expect(catchUp.isDue).toBe(false);
  nowMs += 2000;
  expect(catchUp.isDue).toBe(true);
  integrate(1200n);
  // A hundred more have come meanwhile.
  catchUp.look(target(2100n));
  expect(catchUp.progress).toEqual({ transactions: 900, bytes: 0, perSecond: 100, secondsLeft: 18 });
  nowMs += 2000;
  catchUp.look(target(2300n));
  expect(catchUp.progress).toMatchObject({ transactions: 1100, perSecond: 50, secondsLeft: null });
  catchUp.interrupt();
  expect(catchUp.progress).toBeNull();
  integrate(2300n);
  catchUp.look(target(2300n));
  catchUp.look(target(5000n));
  expect(codes(porto)).toEqual(["CATCHING_UP"]);
});

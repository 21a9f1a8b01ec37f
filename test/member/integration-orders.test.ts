/** What operators order of integration: kept, reported and refused. */
import { expect, test } from "vitest";
import type { Member } from "../../src/member/member.ts";
import { deliverTo, type JournalFile, journalFiles } from "../support/arrivals.ts";
import { addVisits, createClinic } from "../support/members.ts";
import { openSetMember, type SetShape, setDatabasePath } from "../support/set-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SHAPE: SetShape = { mirror: "clinic", databases: ["patients", "lab"], members: ["lisbon", "porto"] };
const WITHOUT_LAB: SetShape = { ...SHAPE, databases: ["patients"] };

/** A snapshot and three segments of each database. */
async function makeJournals(): Promise<JournalFile[]> {
  const root = temporaryDirectory();
  const files: JournalFile[] = [];
  await using lisbon = await openSetMember(root, "lisbon", SHAPE);
  for (const name of SHAPE.databases) {
    const database = createClinic(setDatabasePath(root, "lisbon", name));
    for (let i = 0; i < 4; i++) {
      addVisits(database, 2);
      await lisbon.rotate([name]);
    }
    database.close();
    files.push(...(await journalFiles(lisbon, name)));
  }
  return files;
}

function lag(porto: Member): Record<string, number | null> {
  const { databases } = porto.ownStatus();
  return Object.fromEntries(Object.entries(databases).map(([name, each]) => [name, each.lagTransactions]));
}

function orderEvents(porto: Member) {
  const events = porto.context.store.events({}).filter(({ code }) => code === "PAUSED" || code === "RESUMED");
  return events.map(({ code, database, data }) => ({ code, database, data }));
}

test("a pause of all outlives a restart, and holds for a database that comes later", async () => {
  const files = await makeJournals();
  const root = temporaryDirectory();
  {
    await using porto = await openSetMember(root, "porto", WITHOUT_LAB);
    expect(await porto.pause()).toEqual([{ database: "patients", paused: true, until: null, position: null }]);
  }
  await using porto = await openSetMember(root, "porto", SHAPE);
  for (const file of files) deliverTo(root, "porto", file);
  const held = { transactions: 0, position: null, hold: { by: "operator" } };
  expect(await porto.integrate(undefined, { now: true })).toMatchObject([held, held]);
  const { patients, lab } = porto.ownStatus().databases;
  // It receives all the same.
  expect([patients, lab].map((each) => [each?.received !== null, each?.paused])).toEqual([
    [true, true],
    [true, true],
  ]);
  porto.running = true;
  expect(porto.ownStatus().state).toBe("paused");
  await porto.resume(["lab"]);
  await porto.integrate();
  expect(lag(porto)).toEqual({ patients: null, lab: 0 });
  await porto.resume();
  await porto.integrate();
  expect(lag(porto)).toEqual({ patients: 0, lab: 0 });
  expect(orderEvents(porto)).toEqual([
    { code: "PAUSED", database: null, data: { by: "operator" } },
    { code: "RESUMED", database: "lab", data: { by: "operator", until: null } },
    { code: "RESUMED", database: null, data: { by: "operator", until: null } },
  ]);
});

test("integration stops where `integrate --until` says until it is resumed, also after a restart", async () => {
  const files = await makeJournals();
  const root = temporaryDirectory();
  const second = files[1]?.name.slice(17, 33) ?? "";
  {
    await using porto = await openSetMember(root, "porto", SHAPE);
    for (const file of files) deliverTo(root, "porto", file);
    const [result] = await porto.integrate(["patients"], { until: second });
    expect(result).toMatchObject({ position: expect.stringContaining(second), hold: { by: "until" } });
  }
  await using porto = await openSetMember(root, "porto", SHAPE);
  await porto.mirrors.get("patients")?.poll(null);
  expect(porto.ownStatus().databases.patients).toMatchObject({ paused: false, integrated: { txid: second } });
  expect(await porto.resume(["patients"])).toMatchObject([{ until: null }]);
  await porto.integrate();
  expect(lag(porto)).toEqual({ patients: 0, lab: 0 });
});

test("what is beyond already, or means several databases, is refused and changes nothing", async () => {
  const files = await makeJournals();
  const root = temporaryDirectory();
  await using porto = await openSetMember(root, "porto", SHAPE);
  for (const file of files) deliverTo(root, "porto", file);
  await porto.integrate(["lab"]);
  await porto.pause(["patients"]);
  const until = files[1]?.name.slice(17, 33) ?? "";
  await expect(porto.resume(["lab"], { until })).rejects.toMatchObject({ code: "UNTIL_PASSED" });
  await expect(porto.resume(undefined, { until })).rejects.toMatchObject({ code: "UNTIL_OF_MANY" });
  await expect(porto.resume(undefined, { until: "2020-01-01T00:00:00.000Z" })).rejects.toMatchObject({
    code: "UNTIL_PASSED",
  });
  // A paused database is not resumed by it.
  await porto.integrate(undefined, { until: new Date(Date.now() + 60_000).toISOString() });
  expect(porto.ownStatus().databases.patients).toMatchObject({ paused: true, integrated: null });
  await using lisbon = await openSetMember(temporaryDirectory(), "lisbon", SHAPE);
  await expect(lisbon.pause()).rejects.toMatchObject({ code: "NOT_A_MIRROR" });
});

test("a mirror that is stopped ends after the batch that has begun", async () => {
  const files = await makeJournals();
  const root = temporaryDirectory();
  await using porto = await openSetMember(root, "porto", WITHOUT_LAB, {
    onStep: (step) => {
      if (step === "recorded") stop.abort();
    },
  });
  const stop = new AbortController();
  for (const file of files) if (file.database === "patients") deliverTo(root, "porto", file);
  await porto.mirrors.get("patients")?.poll(null, stop.signal);
  const { integrated, received } = porto.ownStatus().databases.patients ?? {};
  expect(integrated?.txid).toBe(files[0]?.name.slice(17, 33));
  expect(received?.txid).toBe(files[3]?.name.slice(17, 33));
});

test("a schedule lets in its first snapshot, then what has come by its time, and is no stall", async () => {
  const files = (await makeJournals()).filter(({ database }) => database === "patients");
  const root = temporaryDirectory();
  let nowMs = Date.parse("2026-03-01T12:00:00Z");
  const keys = { type: "reporting", integrate: "0 6 1 1 *" };
  const open = () => openSetMember(root, "porto", WITHOUT_LAB, { nowMs: () => nowMs, keys });
  const last = (index: number) => files[index]?.name.slice(17, 33);
  let lastMs = 0;
  {
    await using porto = await open();
    for (const file of files.slice(0, 2)) deliverTo(root, "porto", file);
    await porto.mirrors.get("patients")?.poll(null);
    const { patients } = porto.ownStatus().databases;
    expect(patients).toMatchObject({ integrated: { txid: last(0) }, received: { txid: last(1) }, paused: false });
    expect(patients?.hold).toMatchObject({
      by: "window",
      message: expect.stringMatching(/^window: next at .*-01-01T/),
    });
    expect(porto.mirrors.get("patients")?.isIntegrationDue).toBe(false);
    lastMs = nowMs;
    nowMs += 1;
    for (const file of files.slice(2, 3)) deliverTo(root, "porto", file);
    await porto.mirrors.get("patients")?.poll(null);
    const window = porto.context.store.integration.window();
    if (window !== null) porto.context.store.integration.saveWindow({ ...window, lastMs });
  }
  await using porto = await open();
  await porto.mirrors.get("patients")?.poll(null);
  expect(porto.ownStatus().databases.patients).toMatchObject({ integrated: { txid: last(1) }, hold: { by: "window" } });
  await porto.integrate(undefined, { now: true });
  expect(lag(porto)).toEqual({ patients: 0 });
});

/** What a mirror refuses although every checksum in it is right. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { formatSegmentName } from "../../src/journal/segment-name.ts";
import { formatNodeId, NO_NODE_ID, parseNodeId } from "../../src/ltx/node-id.ts";
import type { Member } from "../../src/member/member.ts";
import { deliverTo, headerOf, type JournalFile, journalFiles, refusedFiles, withHeader } from "../support/arrivals.ts";
import { addVisits, createClinic } from "../support/members.ts";
import { openSetMember, type SetShape, setDatabasePath, setInboxPath } from "../support/set-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const CLINIC: SetShape = { mirror: "clinic", databases: ["patients", "billing"], members: ["lisbon", "porto", "faro"] };

/** A snapshot, two segments and a later snapshot of every database of the set. */
async function historyOf(shape: SetShape, root = temporaryDirectory()): Promise<Map<string, JournalFile[]>> {
  const open = shape.databases.map((name) => createClinic(setDatabasePath(root, "lisbon", name)));
  await using lisbon = await openSetMember(root, "lisbon", shape);
  await lisbon.rotate();
  for (let round = 0; round < 2; round++) {
    for (const database of open) addVisits(database, 3);
    await lisbon.rotate();
  }
  for (const name of shape.databases) await lisbon.operational.get(name)?.snapshot();
  for (const database of open) database.close();
  return new Map(
    await Promise.all(shape.databases.map(async (name) => [name, await journalFiles(lisbon, name)] as const)),
  );
}

function fileOf(history: Map<string, JournalFile[]>, database: string, index: number): JournalFile {
  const file = history.get(database)?.[index];
  if (file === undefined) throw new RangeError(`no file ${index} of ${database}`);
  return file;
}

async function positionOf(porto: Member, database = "patients"): Promise<string | null> {
  const [result] = await porto.integrate([database]);
  return result?.position ?? null;
}

/** A mirror that has integrated the first snapshot and segment. */
async function openMirror(
  root: string,
  history: Map<string, JournalFile[]>,
): Promise<{ porto: Member; at: string | null }> {
  const porto = await openSetMember(root, "porto", CLINIC);
  for (const index of [0, 1]) deliverTo(root, "porto", fileOf(history, "patients", index));
  return { porto, at: await positionOf(porto) };
}

test.each([
  ["another mirror set", { ...CLINIC, mirror: "hospital" }, "patients", /no member of the mirror set clinic/],
  ["another database of the set", CLINIC, "billing", /is of the database billing, not patients/],
  ["a member that is not in the configuration", { ...CLINIC, members: ["lisbon"] }, "patients", null],
])("a snapshot of %s does not replace the mirror's contents", async (_, shape, database, message) => {
  const own = await historyOf(CLINIC);
  const foreign = await historyOf(shape);
  const root = temporaryDirectory();
  const { porto, at } = await openMirror(root, own);
  const snapshot = { ...fileOf(foreign, database, 3), database: "patients" };
  const stranger = formatNodeId(1, { mirror: "clinic", database: "patients", member: "madrid" });
  deliverTo(
    root,
    "porto",
    snapshot,
    message === null ? withHeader(snapshot.bytes, { nodeId: stranger }) : snapshot.bytes,
  );
  expect(await positionOf(porto)).toBe(at);
  expect(refusedFiles(root, "porto", "patients")).toMatchObject([{ code: "SEGMENT_SENDER" }]);
  if (message !== null) expect(refusedFiles(root, "porto", "patients")[0]?.message).toMatch(message);
  expect(porto.ownStatus().databases.patients?.quarantined).toBe(1);
  // The right one is still taken.
  deliverTo(root, "porto", fileOf(own, "patients", 2));
  expect(await positionOf(porto)).not.toBe(at);
  expect(await porto.verify(["patients"])).toMatchObject([{ ok: true }]);
  await porto.close();
});

let history: Map<string, JournalFile[]>;
beforeAll(async () => {
  const root = mkdtempSync(join(tmpdir(), "afterimage-arrival-"));
  history = await historyOf(CLINIC, root);
  rmSync(root, { recursive: true });
});

test("a file that does not say who made it begins a journal, and is refused behind one that does", async () => {
  const root = temporaryDirectory();
  const anonymous = (index: number) => {
    const file = fileOf(history, "patients", index);
    return { ...file, bytes: withHeader(file.bytes, { nodeId: NO_NODE_ID }) };
  };
  await using porto = await openSetMember(root, "porto", CLINIC);
  deliverTo(root, "porto", anonymous(0));
  const at = await positionOf(porto);
  expect(at).not.toBeNull();
  deliverTo(root, "porto", anonymous(1));
  expect(await positionOf(porto)).toBe(at);
  expect(refusedFiles(root, "porto", "patients")).toMatchObject([{ code: "SEGMENT_SENDER" }]);
});

test("a segment of another epoch is refused", async () => {
  const root = temporaryDirectory();
  const { porto, at } = await openMirror(root, history);
  const file = fileOf(history, "patients", 2);
  const nodeId = formatNodeId(2, { mirror: "clinic", database: "patients", member: "lisbon" });
  deliverTo(root, "porto", file, withHeader(file.bytes, { nodeId }));
  expect(await positionOf(porto)).toBe(at);
  expect(refusedFiles(root, "porto", "patients")).toMatchObject([{ code: "SEGMENT_EPOCH" }]);
  await porto.close();
});

test("a segment without a database checksum does not follow one that has it", async () => {
  const root = temporaryDirectory();
  const { porto, at } = await openMirror(root, history);
  const file = fileOf(history, "patients", 2);
  const bytes = Buffer.from(file.bytes);
  bytes.writeUInt32BE(2, 4);
  bytes.writeBigUInt64BE(0n, 40);
  deliverTo(root, "porto", file, bytes);
  expect(await positionOf(porto)).toBe(at);
  expect(refusedFiles(root, "porto", "patients")).toMatchObject([{ code: "SEGMENT_CHAIN" }]);
  await porto.close();
});

test("a file that is larger than its header allows is refused without being read", async () => {
  const root = temporaryDirectory();
  const { porto, at } = await openMirror(root, history);
  const file = fileOf(history, "patients", 2);
  deliverTo(root, "porto", file);
  const fd = openSync(join(setInboxPath(root, "porto", "patients"), file.name), "r+");
  ftruncateSync(fd, 64 * 1024 * 1024);
  closeSync(fd);
  expect(await positionOf(porto)).toBe(at);
  expect(refusedFiles(root, "porto", "patients")).toMatchObject([{ code: "SEGMENT_SIZE" }]);
  await porto.close();
});

test("a repetition is dropped, but not another history's file of the same name", async () => {
  const root = temporaryDirectory();
  const { porto, at } = await openMirror(root, history);
  deliverTo(root, "porto", fileOf(history, "patients", 1));
  expect(await positionOf(porto)).toBe(at);
  expect(refusedFiles(root, "porto", "patients")).toEqual([]);

  // The operational member was set up anew: the same names, other rows.
  const anew = await historyOf(CLINIC);
  const twin = fileOf(anew, "patients", 1);
  expect(twin.name).toBe(fileOf(history, "patients", 1).name);
  deliverTo(root, "porto", twin);
  expect(await positionOf(porto)).toBe(at);
  expect(refusedFiles(root, "porto", "patients")).toMatchObject([{ code: "SEGMENT_CHAIN", name: twin.name }]);
  await porto.close();
});

test("a mirror's snapshot and merged files say whose commits they hold", async () => {
  const root = temporaryDirectory();
  const { porto } = await openMirror(root, history);
  expect(await porto.mirrors.get("patients")?.snapshot()).toMatchObject({});
  const snapshot = (await journalFiles(porto, "patients")).at(-1);
  await porto.close();
  const { nodeId, minTxid, maxTxid } = headerOf(snapshot?.bytes ?? Buffer.alloc(0));
  expect(snapshot?.name).toBe(formatSegmentName({ minTxid, maxTxid }));
  const lisbon = formatNodeId(1, { mirror: "clinic", database: "patients", member: "lisbon" });
  expect(parseNodeId(nodeId)).toEqual(parseNodeId(lisbon));
});

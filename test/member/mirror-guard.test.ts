/** What a mirror does when something other than it has changed its files, its state or both. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { FollowerNeeds } from "../../src/member/follower-needs.ts";
import type { Member } from "../../src/member/member.ts";
import { isFenced } from "../../src/sqlite/fence.ts";
import type { FollowerStatus } from "../../src/status/member-status.ts";
import { deliverTo, type JournalFile, journalFiles } from "../support/arrivals.ts";
import { startChild } from "../support/child-process.ts";
import { addVisits, createClinic } from "../support/members.ts";
import { openSetMember, type SetShape, setDatabasePath } from "../support/set-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SHAPE: SetShape = { mirror: "clinic", databases: ["patients"], members: ["lisbon", "porto"] };

/** A snapshot and four segments. */
async function makeJournal(root: string): Promise<readonly JournalFile[]> {
  const database = createClinic(setDatabasePath(root, "lisbon", "patients"));
  addVisits(database, 30);
  await using lisbon = await openSetMember(root, "lisbon", SHAPE);
  await lisbon.rotate();
  for (let round = 0; round < 4; round++) {
    addVisits(database, 5);
    await lisbon.rotate();
  }
  database.close();
  return await journalFiles(lisbon, "patients");
}

interface Mirror {
  readonly root: string;
  readonly path: string;
  /** Delivers files of the journal and integrates them. */
  advance(from: number, to: number): Promise<string | null>;
  open(): Promise<Member>;
  close(): Promise<void>;
}

async function makeMirror(): Promise<Mirror> {
  const root = temporaryDirectory();
  const journal = await makeJournal(root);
  let porto: Member | null = null;
  const open = async () => (porto ??= await openSetMember(root, "porto", SHAPE));
  const close = async () => {
    await porto?.close();
    porto = null;
  };
  onTestFinished(close);
  const advance = async (from: number, to: number) => {
    for (const file of journal.slice(from, to)) deliverTo(root, "porto", file);
    const [result] = await (await open()).integrate();
    return result?.position ?? null;
  };
  return { root, path: setDatabasePath(root, "porto", "patients"), advance, open, close };
}

async function editByte(path: string, offset: number, byte: number): Promise<void> {
  const editor = startChild(new URL("../sqlite/byte-editor.ts", import.meta.url), [path, String(offset), String(byte)]);
  await editor.line((line) => line === "done");
}

async function expectInconsistent(mirror: Mirror, at: string | null): Promise<void> {
  await expect(mirror.advance(3, 5)).rejects.toMatchObject({
    code: "MIRROR_INCONSISTENT",
    hint: expect.stringContaining("afterimage rebuild"),
  });
  const porto = await mirror.open();
  // As a daemon's: without one the state is always "down".
  porto.running = true;
  const { state, databases } = porto.ownStatus();
  expect({ state, code: databases.patients?.error?.code }).toEqual({
    state: "inconsistent",
    code: "MIRROR_INCONSISTENT",
  });
  expect(at).toContain(databases.patients?.integrated?.txid);
}

test("a page that was edited by hand: nothing further is integrated, and the advice is to rebuild", async () => {
  const mirror = await makeMirror();
  const at = await mirror.advance(0, 3);
  await mirror.close();
  await mirror.advance(3, 3);
  await editByte(mirror.path, 3 * 4096 + 300, 0x5a);
  await expectInconsistent(mirror, at);
});

test("a fence that was removed by hand is back before the next integration, with an event", async () => {
  const mirror = await makeMirror();
  await mirror.advance(0, 3);
  await mirror.close();
  const porto = await mirror.open();
  await mirror.advance(3, 3);
  await editByte(mirror.path, 18, 2);
  await porto.mirrors.get("patients")?.poll(null);
  expect(porto.context.store.events({}).map(({ code }) => code)).toContain("FENCE_RESTORED");
  expect(await isFenced(mirror.path)).toBe(true);
  await mirror.advance(3, 5);
  expect(await porto.verify()).toMatchObject([{ ok: true }]);
});

/** Copies the state or the database of a closed mirror aside, and back. */
function copyOf(mirror: Mirror, what: "state" | "database") {
  const source = what === "state" ? join(mirror.root, "porto", "state") : mirror.path;
  return {
    take: () => execFileSync("cp", ["-a", source, `${source}.yesterday`]),
    putBack: () => {
      execFileSync("rm", ["-rf", source, `${source}-wal`, `${source}-shm`]);
      execFileSync("cp", ["-a", `${source}.yesterday`, source]);
    },
  };
}

test.each(["state", "database"] as const)(
  "a %s of yesterday beside the rest of today is inconsistent",
  async (what) => {
    const mirror = await makeMirror();
    const before = await mirror.advance(0, 2);
    await mirror.close();
    const copy = copyOf(mirror, what);
    copy.take();
    const after = await mirror.advance(2, 3);
    await mirror.close();
    copy.putBack();
    await expectInconsistent(mirror, what === "state" ? before : after);
  },
);

test("a machine that was set back as a whole asks for what it lacks and goes on", async () => {
  const mirror = await makeMirror();
  const before = await mirror.advance(0, 2);
  await mirror.close();
  const copies = [copyOf(mirror, "state"), copyOf(mirror, "database")];
  for (const copy of copies) copy.take();
  await mirror.advance(2, 5);
  await mirror.close();
  for (const copy of copies) copy.putBack();
  expect(await mirror.advance(5, 5)).toBe(before);
  expect(await mirror.advance(2, 5)).not.toBe(before);
  expect(await (await mirror.open()).verify()).toMatchObject([{ ok: true }]);
});

test("an upstream says when what a follower had acknowledged has gone back, once, and also after a restart", async () => {
  const root = temporaryDirectory();
  await using lisbon = await openSetMember(root, "lisbon", SHAPE);
  let txid = 9;
  const status = (): FollowerStatus => {
    const integrated = txid.toString(16).padStart(16, "0");
    const receipt = { shipped: null, received: integrated, integrated, lagTransactions: null, lagSeconds: null };
    return { via: null, reachable: true, heartbeat: null, error: null, databases: { patients: receipt } };
  };
  const open = () => new FollowerNeeds(lisbon.context, () => [["porto", status()]]);
  const wentBack = () => lisbon.context.store.events({}).filter(({ code }) => code === "POSITION_WENT_BACK");
  open().refresh();
  txid = 12;
  open().refresh();
  expect(wentBack()).toEqual([]);
  txid = 4;
  const needs = open();
  needs.refresh();
  needs.refresh();
  expect(wentBack()).toMatchObject([{ level: "warn", database: "patients", data: { member: "porto" } }]);
});

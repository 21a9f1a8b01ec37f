/** Restoring states of a real history, each compared with what the database was then. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Txid } from "../../src/ltx/position.ts";
import { addVisits, CLINIC } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { backUp, type Clinic, carryOut, type KeptState, openClinic, plan } from "./backup-support.ts";

/** Steps of a history; each is followed by a rotation, some time later. */
const ACTIONS = ["few", "many", "delete", "vacuum", "snapshot", "backup", "nothing"] as const;
type Action = (typeof ACTIONS)[number];

async function act(clinic: Clinic, action: Action): Promise<void> {
  const { database, lisbon } = clinic;
  if (action === "few") addVisits(database, 3);
  else if (action === "many") database.transaction(() => addVisits(database, 200))();
  else if (action === "delete") database.exec("DELETE FROM visit WHERE id % 3 = 0");
  else if (action === "vacuum") database.exec("VACUUM");
  else if (action === "snapshot") await lisbon.snapshotOrEvent(CLINIC);
  else if (action === "backup") await backUp(clinic);
}

function stateUpTo(states: readonly KeptState[], fits: (state: KeptState) => boolean): KeptState {
  const state = states.findLast(fits);
  if (state === undefined) throw new Error("no state");
  return state;
}

test("every transaction and every time of random histories is restored as the database was then", async () => {
  const root = temporaryDirectory();
  let run = 0;
  let restored = 0;
  const history = fc.array(fc.constantFrom(...ACTIONS), { minLength: 6, maxLength: 14 });
  await fc.assert(
    fc.asyncProperty(history, async (actions) => {
      const directory = join(root, String(run++));
      mkdirSync(directory);
      const clinic = await openClinic(directory);
      const states: KeptState[] = [];
      for (const action of ["few", ...actions] as const) {
        await act(clinic, action);
        clinic.nowMs += 1_000;
        const state = await clinic.rotate();
        if (state !== null) states.push(state);
      }
      const [first, last] = [states[0], states.at(-1)];
      if (first === undefined || last === undefined) throw new Error("no history");
      for (let txid = first.txid; txid <= last.txid; txid = (txid + 1n) as Txid) {
        const expected = stateUpTo(states, (state) => state.txid <= txid);
        const image = await carryOut(clinic, plan(clinic, { kind: "txid", txid, epoch: null }), `t${txid}.db`);
        expect(image.equals(expected.image)).toBe(true);
        restored++;
      }
      for (let timeMs = first.timeMs; timeMs <= last.timeMs; timeMs += 500) {
        const expected = stateUpTo(states, (state) => state.timeMs <= timeMs);
        const image = await carryOut(clinic, plan(clinic, { kind: "time", timeMs }), `at${timeMs}.db`);
        expect(image.equals(expected.image)).toBe(true);
        restored++;
      }
    }),
    { numRuns: 5 },
  );
  console.log(`${restored} restores of ${run} histories, all equal to the database of then`);
});

/** A snapshot and some segments behind it. */
async function shortHistory(): Promise<{ clinic: Clinic; last: KeptState }> {
  const clinic = await openClinic(temporaryDirectory());
  let last: KeptState | null = null;
  for (let i = 0; i < 4; i++) {
    addVisits(clinic.database, 5);
    clinic.nowMs += 1_000;
    last = (await clinic.rotate()) ?? last;
  }
  if (last === null) throw new Error("no history");
  return { clinic, last };
}

/** Path of the newest segment's file. */
function newestSegment({ lisbon }: Clinic): string {
  const [row] = lisbon.context.store.segments(CLINIC, { kind: "segment", order: "newest", limit: 1 });
  if (row === undefined) throw new Error("no segment");
  return lisbon.context.journal.path(row);
}

function flipByte(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  writeFileSync(path, bytes);
}

test("what is restored can be written to, and knows nothing of a mirror", async () => {
  const { clinic } = await shortHistory();
  await carryOut(clinic, plan(clinic, { kind: "newest" }), "restored.db");
  const database = new Database(join(clinic.root, "restored.db"));
  database.exec("INSERT INTO visit (note) VALUES ('after the restore')");
  expect(database.prepare("SELECT count(*) AS n FROM visit").get()).toEqual({ n: 21 });
  expect(database.pragma("integrity_check", { simple: true })).toBe("ok");
  database.close();
});

test.each<[string, (clinic: Clinic) => void, string]>([
  ["damaged", (clinic) => flipByte(newestSegment(clinic), 200), "SEGMENT_"],
  ["missing", (clinic) => rmSync(newestSegment(clinic)), "JOURNAL_FILE_MISSING"],
])("a %s segment is named, and nothing is left behind", async (_, harm, code) => {
  const { clinic } = await shortHistory();
  const planned = plan(clinic, { kind: "newest" });
  const path = newestSegment(clinic);
  harm(clinic);
  const before = readdirSync(clinic.root);
  await expect(carryOut(clinic, planned, "restored.db")).rejects.toMatchObject({
    code: expect.stringContaining(code),
    path,
  });
  expect(readdirSync(clinic.root)).toEqual(before);
});

test("a damaged backup is refused, and the journal restores the same state", async () => {
  const { clinic, last } = await shortHistory();
  const [backup] = (await backUp(clinic)).backups;
  if (backup === undefined) throw new Error("no backup");
  const planned = plan(clinic, { kind: "newest" }, backup.path);
  expect(planned.base).toMatchObject({ kind: "backup", path: backup.path });
  flipByte(backup.path, 5_000);
  await expect(carryOut(clinic, planned, "a.db")).rejects.toMatchObject({ code: "BACKUP_DAMAGED", path: backup.path });
  const image = await carryOut(clinic, plan(clinic, { kind: "newest" }, "journal"), "b.db");
  expect(image.equals(last.image)).toBe(true);
});

test.each(["", "-wal", "-journal"])("a file at the target's name with %j behind it is not touched", async (suffix) => {
  const { clinic } = await shortHistory();
  const path = join(clinic.root, `restored.db${suffix}`);
  writeFileSync(path, "mine");
  const planned = plan(clinic, { kind: "newest" });
  await expect(carryOut(clinic, planned, "restored.db")).rejects.toMatchObject({ code: "FILE_EXISTS", path });
  expect(readFileSync(path, "utf8")).toBe("mine");
});

test("a plan changes nothing", async () => {
  const { clinic } = await shortHistory();
  const look = () => readdirSync(clinic.root, { recursive: true, encoding: "utf8" }).sort();
  const before = look();
  plan(clinic, { kind: "newest" });
  expect(look()).toEqual(before);
});

test("a database is restored from a backup when the member's state is lost", async () => {
  const { clinic, last } = await shortHistory();
  await backUp(clinic);
  addVisits(clinic.database, 1);
  await clinic.rotate();
  const [backup] = (await backUp(clinic)).backups;
  await clinic.lisbon.close();
  for (const suffix of ["", "-wal", "-shm"])
    rmSync(join(clinic.root, `lisbon/state/state.db${suffix}`), { force: true });
  const planned = plan(clinic, { kind: "txid", txid: last.txid, epoch: null });
  expect(planned.base.kind).toBe("backup");
  expect((await carryOut(clinic, planned, "old.db")).equals(last.image)).toBe(true);
  await carryOut(clinic, plan(clinic, { kind: "newest" }), "new.db");
  const size = (path: string) => readFileSync(path).length;
  expect(size(join(clinic.root, "new.db"))).toBe(backup?.sidecar.bytes);
});

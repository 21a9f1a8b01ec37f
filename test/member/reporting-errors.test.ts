/** What an error of one database means for the others of a mirror. */
import { mkdirSync, rmdirSync } from "node:fs";
import { expect, test } from "vitest";
import type { Member } from "../../src/member/member.ts";
import { deliverTo, type JournalFile, journalFiles } from "../support/arrivals.ts";
import { addVisits, createClinic } from "../support/members.ts";
import { openSetMember, type SetShape, setDatabasePath } from "../support/set-members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SHAPE: SetShape = { mirror: "clinic", databases: ["patients", "lab"], members: ["lisbon", "porto"] };

async function makeJournals(): Promise<ReadonlyMap<string, readonly JournalFile[]>> {
  const root = temporaryDirectory();
  const journals = new Map<string, readonly JournalFile[]>();
  await using lisbon = await openSetMember(root, "lisbon", SHAPE);
  for (const name of SHAPE.databases) {
    const database = createClinic(setDatabasePath(root, "lisbon", name));
    for (let i = 0; i < 4; i++) {
      addVisits(database, 2);
      await lisbon.rotate([name]);
    }
    database.close();
    journals.set(name, await journalFiles(lisbon, name));
  }
  return journals;
}

interface Mirror {
  readonly root: string;
  readonly porto: Member;
  /** The mirror's clock; errors are tried again later and later. */
  readonly wait: (ms: number) => void;
  deliver(from: number, to: number): void;
  turn(...names: string[]): Promise<void>;
  /** Databases that are at the end of what was received. */
  level(): string[];
}

async function openMirror(type: string): Promise<Mirror & AsyncDisposable> {
  const journals = await makeJournals();
  const root = temporaryDirectory();
  let nowMs = Date.parse("2026-03-01T12:00:00Z");
  const porto = await openSetMember(root, "porto", SHAPE, { nowMs: () => nowMs, keys: { type } });
  return {
    root,
    porto,
    wait: (ms) => {
      nowMs += ms;
    },
    deliver: (from, to) => {
      for (const files of journals.values()) for (const file of files.slice(from, to)) deliverTo(root, "porto", file);
    },
    turn: async (...names) => {
      for (const name of names) await porto.mirrors.get(name)?.poll(null);
    },
    level: () => {
      const databases = Object.entries(porto.ownStatus().databases);
      return databases.filter(([, { lagTransactions }]) => lagTransactions === 0).map(([name]) => name);
    },
    [Symbol.asyncDispose]: () => porto.close(),
  };
}

/** A directory where the database's file should be. */
function block(root: string, name: string): string {
  const path = setDatabasePath(root, "porto", name);
  mkdirSync(path);
  return path;
}

test.each(["failover", "dr"])("on a member of type %s an error stops only its own database", async (type) => {
  await using mirror = await openMirror(type);
  block(mirror.root, "patients");
  mirror.deliver(0, 4);
  await mirror.turn("patients", "lab");
  expect(mirror.porto.ownStatus().databases.patients?.error).not.toBeNull();
  expect(mirror.level()).toEqual(["lab"]);
});

test("on a member of type reporting an error stops the whole set, which says why, receives, and goes on after it", async () => {
  await using mirror = await openMirror("reporting");
  const blocked = block(mirror.root, "patients");
  mirror.deliver(0, 2);
  await mirror.turn("patients", "lab");
  const { patients, lab } = mirror.porto.ownStatus().databases;
  expect(patients?.error).not.toBeNull();
  expect(lab).toMatchObject({
    integrated: null,
    received: { txid: expect.any(String) },
    error: null,
    hold: { by: "failure", message: expect.stringMatching(/^stopped because patients failed: \d+ transactions wait$/) },
  });
  rmdirSync(blocked);
  await mirror.turn("patients", "lab");
  expect(mirror.level()).toEqual([]);
  // The line to the upstream has come back: what failed is tried again before its time.
  mirror.porto.mirrors.get("patients")?.retryNow();
  await mirror.turn("patients", "lab");
  expect(mirror.level()).toEqual(["patients", "lab"]);
  mirror.deliver(2, 4);
  await mirror.turn("lab", "patients");
  expect(mirror.level()).toEqual(["patients", "lab"]);
});

test("two databases that failed do not wait for each other", async () => {
  await using mirror = await openMirror("reporting");
  const blocked = SHAPE.databases.map((name) => block(mirror.root, name));
  mirror.deliver(0, 4);
  for (const name of SHAPE.databases) {
    mirror.porto.context.store.saveDatabase(name, {
      error: { code: "ENOSPC", message: "no space", hint: null, since: "2026-03-01T12:00:00.000Z" },
    });
  }
  await mirror.turn("patients", "lab");
  const errors = Object.values(mirror.porto.ownStatus().databases).map(({ error }) => error?.code);
  expect(errors).not.toContain("ENOSPC");
  expect(errors).not.toContain(undefined);
  for (const path of blocked) rmdirSync(path);
  mirror.wait(60_000);
  await mirror.turn("patients", "lab");
  mirror.wait(60_000);
  await mirror.turn("patients", "lab");
  expect(mirror.level()).toEqual(["patients", "lab"]);
});

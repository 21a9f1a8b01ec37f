/** A mirror whose inbox, journal, state and database are on one file system that runs full. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { errnoOf } from "../../src/errno.ts";
import { toTxid } from "../../src/ltx/position.ts";
import type { Member } from "../../src/member/member.ts";
import { deliverTo, type JournalFile, journalFiles } from "../support/arrivals.ts";
import { createClinic } from "../support/members.ts";
import { openSetMember, type SetShape, setDatabasePath } from "../support/set-members.ts";
import { fillFileSystem, mountSmallFileSystem } from "../support/small-file-system.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SHAPE: SetShape = { mirror: "clinic", databases: ["patients"], members: ["lisbon", "porto"] };
const MIB = 1024 * 1024;
const SEGMENTS = 12;

/** Segments of a MiB that nothing can compress; every one adds a row. */
async function makeJournal(): Promise<readonly JournalFile[]> {
  const root = temporaryDirectory();
  const database = createClinic(setDatabasePath(root, "lisbon", "patients"));
  await using lisbon = await openSetMember(root, "lisbon", SHAPE);
  await lisbon.rotate();
  for (let i = 0; i < SEGMENTS; i++) {
    database.prepare("INSERT INTO visit (note, scan) VALUES (?, randomblob(?))").run(`visit ${i}`, MIB);
    await lisbon.rotate();
  }
  database.close();
  return await journalFiles(lisbon, "patients");
}

function tryToDeliver(root: string, file: JournalFile): boolean {
  try {
    deliverTo(root, "porto", file);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOSPC") return false;
    throw error;
  }
}

/** What a reader sees: rows, of which each stands for a segment, in a whole database. */
function rowsOf(root: string): number {
  const reader = new Database(setDatabasePath(root, "porto", "patients"), { readonly: true });
  try {
    expect(reader.pragma("integrity_check", { simple: true })).toBe("ok");
    return Number(reader.prepare("SELECT count(*) FROM visit").pluck().get());
  } finally {
    reader.close();
  }
}

test.each([
  ["says so", "4MiB", ["DISK_LOW"]],
  ["that it may fill to the last byte says so as far as it can", "0", ["DISK_FULL", "DISK_LOW"]],
])(
  "a mirror whose disk runs full %s, shows a whole state all the while, and goes on by itself",
  async (_, minFree, said) => {
    const journal = await makeJournal();
    const small = mountSmallFileSystem(20 * MIB);
    if (small === null) return;
    const root = small.path;
    let nowMs = Date.now();
    const porto: Member = await openSetMember(root, "porto", SHAPE, {
      nowMs: () => nowMs,
      journal: { minFree },
    });
    onTestFinished(() => porto.close());
    const poll = async () => {
      nowMs += 60_000;
      await porto.mirrors.get("patients")?.poll({ txid: toTxid(BigInt(SEGMENTS + 1)), timeMs: null, isCertain: true });
      return porto.ownStatus().databases.patients;
    };

    const [snapshot, ...segments] = journal;
    if (snapshot === undefined) throw new RangeError("no snapshot");
    deliverTo(root, "porto", snapshot);
    await poll();
    let undelivered: JournalFile[] = [];
    const codes = new Set<string>();
    for (const file of segments) {
      if (!tryToDeliver(root, file)) undelivered = [...undelivered, file];
      const status = await poll();
      if (status?.error != null) codes.add(status.error.code);
      expect(rowsOf(root)).toBe(Number.parseInt(status?.integrated?.txid ?? "", 16) - 1);
    }
    for (const code of codes) expect(said).toContain(code);
    if (minFree !== "0") expect(codes.size).toBe(1);
    const before = rowsOf(root);
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(SEGMENTS);

    const ballast = join(root, "ballast");
    fillFileSystem(ballast);
    for (let turn = 0; turn < 3; turn++) {
      await poll();
      expect(rowsOf(root)).toBe(before);
    }
    rmSync(ballast);
    small.resize(100 * MIB);
    for (const file of undelivered) deliverTo(root, "porto", file);
    const status = await poll();
    expect({ error: status?.error, rows: rowsOf(root) }).toEqual({ error: null, rows: SEGMENTS });
    expect(await porto.verify()).toMatchObject([{ ok: true }]);
    if (minFree !== "0") expect(porto.context.store.events({}).map(({ code }) => code)).toContain("RECOVERED");
  },
);

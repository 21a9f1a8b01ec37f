import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { formatSegmentName } from "../../src/journal/segment-name.ts";
import type { Member } from "../../src/member/member.ts";
import { mergeForShipment } from "../../src/member/merged-shipment.ts";
import {
  addVisits,
  CLINIC,
  createClinic,
  databasePath,
  inboxPath,
  openMember,
  segmentsPath,
} from "../support/members.ts";
import { mountSmallFileSystem } from "../support/small-file-system.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const SEGMENTS = 12;

/** A journal: a snapshot and twelve segments, oldest first, and the position at its end. */
let journal: { name: string; bytes: Buffer }[];
let end: string;
let source: string;

beforeAll(async () => {
  source = mkdtempSync(join(tmpdir(), "afterimage-inbox-"));
  const database = createClinic(databasePath(source, "lisbon"));
  await using lisbon = await openMember(source, "lisbon");
  await lisbon.rotate();
  for (let i = 0; i < SEGMENTS; i++) {
    addVisits(database, 1 + (i % 3));
    const [result] = await lisbon.rotate();
    end = result?.position ?? "";
  }
  database.close();
  const segments = await lisbon.segments({ limit: SEGMENTS + 1 });
  journal = segments.map(({ path, minTxid, maxTxid }) => ({
    name: `${minTxid}-${maxTxid}.ltx`,
    bytes: readFileSync(path),
  }));
  expect(journal).toHaveLength(SEGMENTS + 1);
});

afterAll(() => rmSync(source, { recursive: true }));

function deliver(root: string, index: number, spoil?: (bytes: Buffer) => Buffer): void {
  const segment = journal[index];
  if (segment === undefined) throw new RangeError(`no segment ${index}`);
  const bytes = spoil === undefined ? segment.bytes : spoil(Buffer.from(segment.bytes));
  mkdirSync(inboxPath(root, "porto"), { recursive: true });
  writeFileSync(join(inboxPath(root, "porto"), segment.name), bytes);
}

async function integrated(porto: Member): Promise<string | null> {
  const [result] = await porto.integrate();
  return result?.position ?? null;
}

function quarantine(root: string): { reasons: string[]; files: string[] } {
  const directory = join(root, "porto", "state", "quarantine", CLINIC);
  const names = readdirSync(directory);
  const reasons = names.filter((name) => name.endsWith(".reason.json"));
  return {
    files: names.filter((name) => name.endsWith(".ltx")),
    reasons: reasons.map((name) => JSON.parse(readFileSync(join(directory, name), "utf8")).code),
  };
}

/** One thing that happens to a file on its way. */
const delivery = fc.record({
  index: fc.nat({ max: SEGMENTS }),
  fate: fc.constantFrom("whole" as const, "whole" as const, "flipped" as const, "cut" as const),
  at: fc.nat({ max: 10_000 }),
  integrate: fc.boolean(),
});

test("whatever order, repetition, loss and damage files arrive with, the mirror ends equal", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(delivery, { maxLength: 40 }), async (deliveries) => {
      const root = mkdtempSync(join(tmpdir(), "afterimage-inbox-"));
      try {
        await using porto = await openMember(root, "porto");
        for (const { index, fate, at, integrate } of deliveries) {
          if (fate === "whole") deliver(root, index);
          else if (fate === "cut") deliver(root, index, (bytes) => bytes.subarray(0, at % bytes.length));
          else deliver(root, index, (bytes) => flipped(bytes, at));
          if (integrate) await porto.integrate();
        }
        // Everything that was lost or spoilt is sent again, oldest last.
        for (let index = SEGMENTS; index >= 0; index--) deliver(root, index);
        expect(await integrated(porto)).toBe(end);
        expect(await porto.verify()).toMatchObject([{ ok: true, problems: [] }]);
      } finally {
        rmSync(root, { recursive: true });
      }
    }),
    { numRuns: 25 },
  );
}, 120_000);

function flipped(bytes: Buffer, at: number): Buffer {
  const offset = at % bytes.length;
  bytes[offset] = (bytes[offset] ?? 0) ^ (1 << (at & 7));
  return bytes;
}

test("a file that comes too early waits, and what is missing is asked for after a while", async () => {
  const root = temporaryDirectory();
  let nowMs = 1_000_000;
  await using porto = await openMember(root, "porto", () => nowMs);
  const wants = () => porto.ownStatus().databases[CLINIC]?.wants?.txid ?? null;
  expect(wants()).toBe("0000000000000001");
  deliver(root, 0);
  deliver(root, 2);
  const first = await integrated(porto);
  expect(first?.split(":")[1]).toBe(journal[0]?.name.slice(17, 33));
  expect(wants()).toBeNull();
  nowMs += 5_000;
  expect(wants()).toBe(journal[1]?.name.slice(0, 16));
  deliver(root, 1);
  const second = await integrated(porto);
  expect(second?.split(":")[1]).toBe(journal[2]?.name.slice(17, 33));
  expect(wants()).toBeNull();
});

test("nothing is asked for while files that are here are still being looked at", async () => {
  const root = temporaryDirectory();
  await using porto = await openMember(root, "porto");
  const wants = () => porto.ownStatus().databases[CLINIC]?.wants ?? null;
  deliver(root, 0);
  const integrating = porto.integrate();
  const seen: boolean[] = [];
  const ended = integrating.then(() => true);
  while (!(await Promise.race([ended, new Promise((resolve) => setImmediate(resolve, false))]))) {
    if (porto.context.store.database(CLINIC)?.received == null) seen.push(wants() === null);
  }
  expect(seen).toContain(true);
  expect(wants()).toBeNull();
});

test("a damaged file goes to quarantine with the reason, and its repetition is taken", async () => {
  const root = temporaryDirectory();
  await using porto = await openMember(root, "porto");
  deliver(root, 0);
  deliver(root, 1, (bytes) => bytes.subarray(0, bytes.length - 1));
  await porto.integrate();
  expect(quarantine(root)).toMatchObject({ files: [expect.stringContaining(journal[1]?.name ?? "?")] });
  expect(quarantine(root).reasons[0]).toMatch(/^SEGMENT_/);
  expect(porto.context.store.events({}).map((event) => event.code)).toContain(quarantine(root).reasons[0]);
  deliver(root, 1);
  expect((await integrated(porto))?.split(":")[1]).toBe(journal[1]?.name.slice(17, 33));
});

test("a file under another segment's name is refused", async () => {
  const root = temporaryDirectory();
  await using porto = await openMember(root, "porto");
  deliver(root, 0);
  deliver(root, 1);
  const inbox = inboxPath(root, "porto");
  copyFileSync(join(inbox, journal[1]?.name ?? ""), join(inbox, "0000000000000002-00000000000000ff.ltx"));
  rmSync(join(inbox, journal[1]?.name ?? ""));
  await porto.integrate();
  expect(quarantine(root).reasons).toEqual(["SEGMENT_NAME"]);
});

test("segments of another history are refused, though they are valid", async () => {
  const foreign = temporaryDirectory();
  const database = createClinic(databasePath(foreign, "lisbon"));
  database.exec("CREATE TABLE other (x)");
  await using lisbon = await openMember(foreign, "lisbon");
  await lisbon.rotate();
  addVisits(database, 1);
  const [result] = await lisbon.rotate();
  database.close();

  const root = temporaryDirectory();
  await using porto = await openMember(root, "porto");
  deliver(root, 0);
  const before = await integrated(porto);
  const name = result?.segments[0] ?? "";
  copyFileSync(join(segmentsPath(foreign, "lisbon"), "0", name), join(inboxPath(root, "porto"), name));
  expect(await integrated(porto)).toBe(before);
  expect(quarantine(root).reasons).toEqual(["SEGMENT_CHAIN"]);
});

test("a merged segment that reaches back over what was received leads to its end", async () => {
  const root = temporaryDirectory();
  await using porto = await openMember(root, "porto");
  for (const index of [0, 1, 2, 3]) deliver(root, index);
  await porto.integrate();

  const rows = await mergedRows(1, SEGMENTS);
  writeFileSync(join(inboxPath(root, "porto"), rows.name), rows.bytes);
  expect(await integrated(porto)).toBe(end);
  expect(await porto.verify()).toMatchObject([{ ok: true, problems: [] }]);
});

/** The journal's segments from `first` to `last` as one file. */
async function mergedRows(first: number, last: number): Promise<{ name: string; bytes: Buffer }> {
  await using lisbon = await openMember(source, "lisbon");
  const [head, ...rest] = lisbon.context.store.segments(CLINIC, { kind: "segment" }).slice(first - 1, last);
  const tail = rest.at(-1);
  if (head === undefined || tail === undefined) throw new RangeError("too few segments");
  const outbox = temporaryDirectory();
  const batch = { rows: [head, ...rest] as const, last: tail, snapshot: false };
  const { path, minTxid, maxTxid } = await mergeForShipment(lisbon.context, outbox, batch);
  return { name: formatSegmentName({ minTxid, maxTxid }), bytes: readFileSync(path) };
}

test("what is no segment at all is put aside", async () => {
  const root = temporaryDirectory();
  await using porto = await openMember(root, "porto");
  deliver(root, 0);
  writeFileSync(join(inboxPath(root, "porto"), "notes.txt"), "hello");
  writeFileSync(join(inboxPath(root, "porto"), ".half.part"), "half");
  expect(await integrated(porto)).not.toBeNull();
  expect(quarantine(root).reasons).toEqual(["SEGMENT_NAME"]);
  expect(readdirSync(inboxPath(root, "porto"))).toEqual([".half.part"]);
});

test("a mailbox on another file system than the state serves as well, for good files and bad ones", async () => {
  const root = temporaryDirectory();
  const mailbox = join(root, "porto", "mailbox");
  mkdirSync(mailbox, { recursive: true });
  if (mountSmallFileSystem(16 * 1024 * 1024, mailbox) === null) return;
  await using porto = await openMember(root, "porto");
  deliver(root, 0);
  deliver(root, 1, (bytes) => bytes.subarray(1));
  await porto.integrate();
  expect(quarantine(root).files).toHaveLength(1);
  deliver(root, 1);
  expect((await integrated(porto))?.split(":")[1]).toBe(journal[1]?.name.slice(17, 33));
});

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import { StateStore } from "../../src/journal/state-store.ts";
import { toTxid } from "../../src/ltx/position.ts";
import { startChild } from "../support/child-process.ts";
import { mountSmallFileSystem } from "../support/small-file-system.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";
import { segmentRow, snapshotRow } from "./segment-rows.ts";

const HALF_WRITER = new URL("./segment-writing.ts", import.meta.url);
const ROW = segmentRow(2, 2);

function newJournal(directory = temporaryDirectory()) {
  const store = StateStore.open(join(directory, "state.db"), { mirror: "clinic", member: "lisbon" });
  onTestFinished(() => store.close());
  return { directory, store, journal: new Journal(join(directory, "journal"), store.catalogue) };
}

function write(journal: Journal, row: typeof ROW, contents: string | Uint8Array): void {
  using writer = journal.create(row);
  writer.write(Buffer.from(contents));
  writer.commit();
}

function received(directory: string, contents: string): string {
  const path = join(directory, "received.ltx");
  writeFileSync(path, contents);
  return path;
}

test("a file appears under its name when it is committed, and not before", () => {
  const { journal } = newJournal();
  using writer = journal.create(ROW);
  writer.write(Buffer.from("hello"));
  expect(journal.exists(ROW)).toBe(false);
  writer.commit();
  expect(readFileSync(journal.path(ROW), "utf8")).toBe("hello");
  expect(readdirSync(dirname(journal.path(ROW)))).toEqual(["0000000000000002-0000000000000002.ltx"]);
});

test("an aborted file leaves nothing, and cannot be written to", () => {
  const { journal } = newJournal();
  const writer = journal.create(ROW);
  writer.write(Buffer.from("hello"));
  writer.abort();
  writer.abort();
  expect(readdirSync(dirname(journal.path(ROW)))).toEqual([]);
  expect(() => writer.write(Buffer.from("x"))).toThrow("aborted");
  expect(() => writer.commit()).toThrow("aborted");
});

test("a committed file stays when its writer is aborted afterwards", () => {
  const { journal } = newJournal();
  const writer = journal.create(ROW);
  writer.commit();
  writer.abort();
  expect(journal.exists(ROW)).toBe(true);
});

test("writes of all sizes arrive in order, though the caller overwrites its buffer", () => {
  const { journal } = newJournal();
  using writer = journal.create(ROW);
  const sizes = [1, 100_000, 262_144, 262_145, 7, 0, 600_000, 3];
  const expected: Uint8Array[] = [];
  for (const [i, size] of sizes.entries()) {
    const bytes = new Uint8Array(size).fill(i + 1);
    expected.push(bytes.slice());
    writer.write(bytes);
    bytes.fill(0xee);
  }
  expect(writer.bytes).toBe(sizes.reduce((a, b) => a + b));
  writer.commit();
  expect(readFileSync(journal.path(ROW)).equals(Buffer.concat(expected))).toBe(true);
});

test("a catalogued segment is never written again", () => {
  const { journal, store } = newJournal();
  write(journal, ROW, "first");
  store.addSegment(ROW);
  expect(thrownBy(() => journal.create(ROW))).toMatchObject({ code: "JOURNAL_SEGMENT_EXISTS" });
  expect(readFileSync(journal.path(ROW), "utf8")).toBe("first");
});

test("a file that a crash left without a row is replaced when it is cut again", () => {
  const { journal } = newJournal();
  write(journal, ROW, "before the crash");
  write(journal, ROW, "after");
  expect(readFileSync(journal.path(ROW), "utf8")).toBe("after");
});

test("a file is read at any position, short only at its end", () => {
  const { journal } = newJournal();
  write(journal, ROW, "0123456789");
  using source = journal.open(ROW);
  const target = new Uint8Array(4);
  expect(source.size).toBe(10);
  expect(source.read(target, 3)).toBe(4);
  expect(Buffer.from(target).toString()).toBe("3456");
  expect(source.read(target, 8)).toBe(2);
  expect(source.read(target, 10)).toBe(0);
  source.close();
  expect(() => source.read(target, 0)).toThrow("closed");
});

test("opening a missing file says so", () => {
  const { journal } = newJournal();
  expect(thrownBy(() => journal.open(ROW))).toMatchObject({ code: "JOURNAL_FILE_MISSING", path: journal.path(ROW) });
});

test("a received file is moved into the journal, and moving it again is harmless", async () => {
  const { directory, journal, store } = newJournal();
  const source = received(directory, "hello");
  expect(await journal.adopt(source, ROW)).toBe("adopted");
  expect(existsSync(source)).toBe(false);
  expect(await journal.adopt(source, ROW)).toBe("present");
  store.addSegment(ROW);
  expect(await journal.adopt(received(directory, "hello"), ROW)).toBe("present");
  expect(existsSync(source)).toBe(false);
  expect(readFileSync(journal.path(ROW), "utf8")).toBe("hello");
});

test("a received file on another file system is copied into the journal", async () => {
  const { journal, directory } = newJournal();
  const other = mkdtempSync("/dev/shm/afterimage-test-");
  onTestFinished(() => rmSync(other, { recursive: true }));
  expect(statSync(other).dev).not.toBe(statSync(directory).dev);
  const source = received(other, "hello");
  expect(await journal.adopt(source, ROW)).toBe("adopted");
  expect(existsSync(source)).toBe(false);
  expect(readdirSync(dirname(journal.path(ROW)))).toHaveLength(1);
  expect(readFileSync(journal.path(ROW), "utf8")).toBe("hello");
});

test("a received file that differs from the catalogued one is refused, and both stay", async () => {
  const { directory, journal, store } = newJournal();
  write(journal, ROW, "hello");
  store.addSegment(ROW);
  const source = received(directory, "hallo");
  await expect(journal.adopt(source, ROW)).rejects.toMatchObject({ code: "JOURNAL_DIFFERS", path: source });
  expect(readFileSync(source, "utf8")).toBe("hallo");
  expect(readFileSync(journal.path(ROW), "utf8")).toBe("hello");
});

test("a received file replaces another one that has no row", async () => {
  const { directory, journal } = newJournal();
  write(journal, ROW, "stray");
  expect(await journal.adopt(received(directory, "hello"), ROW)).toBe("adopted");
  expect(readFileSync(journal.path(ROW), "utf8")).toBe("hello");
});

test("symbolic links, directories and missing files are not taken in", async () => {
  const { directory, journal } = newJournal();
  const link = join(directory, "link.ltx");
  symlinkSync(received(directory, "hello"), link);
  for (const source of [link, directory, join(directory, "nothing.ltx")]) {
    await expect(journal.adopt(source, ROW)).rejects.toMatchObject({ code: "JOURNAL_SOURCE_INVALID", path: source });
  }
  expect(journal.exists(ROW)).toBe(false);
});

test("files without a row beyond the position, and part files, are removed as strays; all others stay", () => {
  const { journal, store } = newJournal();
  const rows = [segmentRow(2, 2), segmentRow(3, 3), segmentRow(4, 4), segmentRow(5, 5), snapshotRow(5)];
  for (const row of rows) write(journal, row, "x");
  store.addSegment(segmentRow(4, 4));
  const level = dirname(journal.path(ROW));
  writeFileSync(join(level, ".0000000000000006-0000000000000006.ltx.part"), "x");
  writeFileSync(join(level, "notes.txt"), "an operator's");

  expect(journal.removeStray("orders", 1, toTxid(2n)).sort()).toEqual([
    "orders/0000000000000001/ltx/0/.0000000000000006-0000000000000006.ltx.part",
    "orders/0000000000000001/ltx/0/0000000000000003-0000000000000003.ltx",
    "orders/0000000000000001/ltx/0/0000000000000005-0000000000000005.ltx",
    "orders/0000000000000001/ltx/9/0000000000000001-0000000000000005.ltx",
  ]);
  expect(readdirSync(level).sort()).toEqual([
    "0000000000000002-0000000000000002.ltx",
    "0000000000000004-0000000000000004.ltx",
    "notes.txt",
  ]);
  expect(journal.removeStray("orders", 1, toTxid(2n))).toEqual([]);
  expect(journal.removeStray("billing", 1, toTxid(0n))).toEqual([]);
});

test("files without a row up to the position are removed when they are asked for: a purge or a snapshot was cut off", () => {
  const { journal, store } = newJournal();
  const rows = [segmentRow(2, 2), segmentRow(3, 3), segmentRow(4, 4), snapshotRow(3), segmentRow(5, 5)];
  for (const row of rows) write(journal, row, "x");
  store.addSegment(segmentRow(4, 4));
  expect(journal.removeUncatalogued("orders", 1, toTxid(4n)).sort()).toEqual([
    "orders/0000000000000001/ltx/0/0000000000000002-0000000000000002.ltx",
    "orders/0000000000000001/ltx/0/0000000000000003-0000000000000003.ltx",
    "orders/0000000000000001/ltx/9/0000000000000001-0000000000000003.ltx",
  ]);
  expect(journal.exists(segmentRow(4, 4))).toBe(true);
  expect(journal.exists(segmentRow(5, 5))).toBe(true);
});

test("a file is removed once", () => {
  const { journal } = newJournal();
  write(journal, ROW, "x");
  expect(journal.remove(ROW)).toBe(true);
  expect(journal.remove(ROW)).toBe(false);
});

test("a directory in a file's way is told as an error of the journal", () => {
  const { journal } = newJournal();
  mkdirSync(journal.path(ROW), { recursive: true });
  using writer = journal.create(ROW);
  expect(thrownBy(() => writer.commit())).toMatchObject({ code: "JOURNAL_IO", path: journal.path(ROW) });
  writer.abort();
  expect(readdirSync(dirname(journal.path(ROW)))).toEqual(["0000000000000002-0000000000000002.ltx"]);
});

test("a segment that does not fit leaves nothing, and can be cut again", () => {
  const mounted = mountSmallFileSystem(2 * 1024 * 1024);
  if (mounted === null) return;
  const { store } = newJournal();
  const journal = new Journal(mounted.path, store.catalogue);
  const writer = journal.create(ROW);
  const bytes = new Uint8Array(1024 * 1024);
  const fill = () => {
    for (let i = 0; i < 4; i++) writer.write(bytes);
    writer.commit();
  };
  expect(thrownBy(fill)).toMatchObject({ code: "JOURNAL_FULL", path: journal.path(ROW), hint: expect.any(String) });
  writer.abort();
  expect(readdirSync(dirname(journal.path(ROW)))).toEqual([]);
  write(journal, ROW, bytes);
  expect(journal.exists(ROW)).toBe(true);
});

test("a writer that is killed leaves a part file only, which the next start removes", async () => {
  const directory = temporaryDirectory();
  const child = startChild(HALF_WRITER, [directory]);
  await child.line((line) => line === "writing");
  await child.kill();
  const { journal } = newJournal(directory);
  const part = ".0000000000000002-0000000000000002.ltx.part";
  expect(readdirSync(dirname(journal.path(ROW)))).toEqual([part]);
  expect(journal.removeStray("orders", 1, toTxid(1n))).toEqual([`orders/0000000000000001/ltx/0/${part}`]);
  write(journal, ROW, "hello");
  expect(readFileSync(journal.path(ROW), "utf8")).toBe("hello");
});

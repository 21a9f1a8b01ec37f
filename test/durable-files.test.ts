import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  isPartName,
  isUniquePartName,
  makeDirectory,
  makeDirectoryAsync,
  makePrivateDirectory,
  removeFile,
  uniquePartPath,
  writeFileAtomically,
  writeFileDurably,
} from "../src/durable-files.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { thrownBy } from "./support/thrown.ts";

test.each([
  ["durably", writeFileDurably],
  ["atomically", writeFileAtomically],
])("a file written %s replaces another as a new file, and leaves nothing else", (_, write) => {
  const directory = temporaryDirectory();
  const path = join(directory, "status.json");
  write(path, "first");
  const { ino } = statSync(path);
  write(path, Buffer.from("second"));
  expect(readFileSync(path, "utf8")).toBe("second");
  expect(statSync(path).ino).not.toBe(ino);
  expect(readdirSync(directory)).toEqual(["status.json"]);
});

test("a write that fails leaves the directory as it was", () => {
  const directory = temporaryDirectory();
  makeDirectory(join(directory, "status.json"));
  expect(thrownBy(() => writeFileDurably(join(directory, "status.json"), "x"))).toMatchObject({ code: "EISDIR" });
  expect(readdirSync(directory)).toEqual(["status.json"]);
});

test("directories are made with all that are missing above them, and again without an error", async () => {
  const directory = temporaryDirectory();
  for (const make of [makeDirectory, makeDirectoryAsync]) {
    const path = join(directory, make.name, "b", "c");
    await make(path);
    await make(path);
    expect(statSync(path).isDirectory()).toBe(true);
  }
});

test("a private directory is for its owner alone, what is above it for others, too, and one that is there stays as it is", () => {
  const directory = temporaryDirectory();
  const path = join(directory, "above", "private");
  makePrivateDirectory(path);
  const modeOf = (place: string) => statSync(place).mode & 0o777;
  expect(modeOf(path)).toBe(0o700);
  expect(modeOf(join(directory, "above"))).not.toBe(0o700);
  chmodSync(path, 0o750);
  makePrivateDirectory(path);
  expect(modeOf(path)).toBe(0o750);
});

test("temporary names are told from others", () => {
  expect(isUniquePartName(uniquePartPath("/srv/a.ltx").slice("/srv/".length))).toBe(true);
  expect(isPartName(".a.ltx.part")).toBe(true);
  expect(isUniquePartName(".a.ltx.part")).toBe(false);
  expect(isPartName("a.ltx.part")).toBe(false);
  expect(isPartName(".a.ltx")).toBe(false);
});

test("a file is removed once", () => {
  const path = join(temporaryDirectory(), "a");
  writeFileSync(path, "");
  expect(removeFile(path)).toBe(true);
  expect(removeFile(path)).toBe(false);
});

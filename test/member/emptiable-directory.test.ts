import { mkdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EmptiableDirectory } from "../../src/member/emptiable-directory.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** A time of change that lies an hour back. */
const LONG_AGO_S = Date.now() / 1000 - 3600;

interface Scene {
  readonly path: string;
  names(): Promise<string[]>;
  add(name: string): void;
  wait(milliseconds: number): void;
}

function createScene(): Scene {
  const path = join(temporaryDirectory(), "inbox");
  mkdirSync(path);
  utimesSync(path, LONG_AGO_S, LONG_AGO_S);
  let nowMs = Date.now();
  const directory = new EmptiableDirectory(path, () => nowMs);
  return {
    path,
    names: async () => (await directory.entries()).map(({ name }) => name),
    add: (name) => writeFileSync(join(path, name), ""),
    wait: (milliseconds) => {
      nowMs += milliseconds;
    },
  };
}

test("what comes into an empty directory is seen at the next look", async () => {
  const { names, add } = createScene();
  expect(await names()).toEqual([]);
  expect(await names()).toEqual([]);
  add("a");
  expect(await names()).toEqual(["a"]);
  expect(await names()).toEqual(["a"]);
});

test("a directory that has just changed is read again, as a second change may have the same time", async () => {
  const { path, names, add } = createScene();
  const justNow = new Date();
  utimesSync(path, justNow, justNow);
  expect(await names()).toEqual([]);
  add("a");
  utimesSync(path, justNow, justNow);
  expect(await names()).toEqual(["a"]);
});

test("a time of change that does not move is not trusted for long", async () => {
  const { path, names, add, wait } = createScene();
  expect(await names()).toEqual([]);
  add("a");
  utimesSync(path, LONG_AGO_S, LONG_AGO_S);
  expect(statSync(path).mtimeMs).toBeLessThan(Date.now() - 60_000);
  expect(await names()).toEqual([]);
  wait(30_000);
  expect(await names()).toEqual(["a"]);
});

import { appendFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { untilWritten } from "../../src/member/until-written.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const LONG_MS = 30_000;

function watchedFile(): string {
  const path = join(temporaryDirectory(), "a.db-wal");
  writeFileSync(path, "frames");
  return path;
}

const never = () => false;
const stop = new AbortController().signal;

test("a write ends the wait", async () => {
  const path = watchedFile();
  const waiting = untilWritten(path, { timeoutMs: LONG_MS, alreadyWritten: never, stop });
  appendFileSync(path, "more");
  expect(await waiting).toBe(true);
});

test("a file that is removed ends the wait", async () => {
  const path = watchedFile();
  const waiting = untilWritten(path, { timeoutMs: LONG_MS, alreadyWritten: never, stop });
  rmSync(path);
  expect(await waiting).toBe(true);
});

test("what was written before the watch was set is not waited for", async () => {
  expect(await untilWritten(watchedFile(), { timeoutMs: LONG_MS, alreadyWritten: () => true, stop })).toBe(true);
});

test("without a write it ends after the time given", async () => {
  expect(await untilWritten(watchedFile(), { timeoutMs: 20, alreadyWritten: never, stop })).toBe(false);
});

test("it ends when it is told to stop", async () => {
  const abort = new AbortController();
  const waiting = untilWritten(watchedFile(), { timeoutMs: LONG_MS, alreadyWritten: never, stop: abort.signal });
  abort.abort();
  expect(await waiting).toBe(false);
});

test("a file that is not there is not waited for", async () => {
  const path = join(temporaryDirectory(), "none-wal");
  expect(await untilWritten(path, { timeoutMs: LONG_MS, alreadyWritten: never, stop })).toBe(true);
});

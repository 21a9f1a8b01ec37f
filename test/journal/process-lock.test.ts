import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ProcessLock, readLockHolder } from "../../src/journal/process-lock.ts";
import { startChild } from "../support/child-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";

const HOLDER = new URL("./lock-holding.ts", import.meta.url);

function newPath(): string {
  return join(temporaryDirectory(), "locks", "member.db");
}

test("a lock that another process holds is refused with the holder's name", async () => {
  const path = newPath();
  const holder = startChild(HOLDER, [path]);
  await holder.line((line) => line === "locked");
  const error = thrownBy(() => ProcessLock.acquire(path, "afterimage rotate"));
  expect(error).toMatchObject({ name: "StateError", code: "LOCK_HELD", path });
  expect(String(error)).toContain(`afterimage run (process ${holder.pid}, since 2`);
});

test("kill -9 of the holder frees the lock", async () => {
  const path = newPath();
  const holder = startChild(HOLDER, [path]);
  await holder.line((line) => line === "locked");
  await holder.kill();
  expect(readLockHolder(path)?.pid).toBe(holder.pid);
  using lock = ProcessLock.acquire(path, "afterimage rotate");
  expect(lock.path).toBe(path);
  expect(readLockHolder(path)).toMatchObject({ pid: process.pid, command: "afterimage rotate" });
});

test("this process's lock keeps another process out until it is released", async () => {
  const path = newPath();
  const lock = ProcessLock.acquire(path, "backup");
  // Reading the note must not free the lock, as closing a descriptor of the lock file itself would.
  expect(readLockHolder(path)?.command).toBe("backup");
  expect(thrownBy(() => ProcessLock.acquire(path, "integrate"))).toMatchObject({ code: "LOCK_HELD" });
  expect(await startChild(HOLDER, [path]).line(() => true)).toBe("LOCK_HELD");
  lock.release();
  lock.release();
  expect(readLockHolder(path)).toBeNull();
  expect(await startChild(HOLDER, [path]).line(() => true)).toBe("locked");
});

test("of many processes that want one lock exactly one gets it", async () => {
  const path = newPath();
  const answers = await Promise.all(Array.from({ length: 6 }, () => startChild(HOLDER, [path]).line(() => true)));
  expect(answers.sort()).toEqual([...Array.from({ length: 5 }, () => "LOCK_HELD"), "locked"]);
});

test("a lock without a readable note is told without a name", () => {
  const path = newPath();
  using lock = ProcessLock.acquire(path, "backup");
  writeFileSync(`${path}.holder`, '{"pid":"');
  expect(String(thrownBy(() => ProcessLock.acquire(path, "integrate")))).toContain("another process");
  expect(lock.path).toBe(path);
});

test("a lock file that cannot be used is told apart from a lock that is held", () => {
  const path = newPath();
  mkdirSync(path, { recursive: true });
  expect(thrownBy(() => ProcessLock.acquire(path, "backup"))).toMatchObject({ code: "LOCK_FAILED" });
  expect(existsSync(`${path}.holder`)).toBe(false);
});

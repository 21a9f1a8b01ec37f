import { fstatSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { DatabaseFiles } from "../../src/sqlite/database-files.ts";
import { OperationalDatabase } from "../../src/sqlite/operational-database.ts";
import { SharedDescriptor } from "../../src/sqlite/shared-descriptor.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { createDatabase } from "./application-database.ts";
import { TestProcess } from "./processes.ts";

test("a file is opened once, whoever asks and by whatever name, until the last holder lets go", () => {
  const path = join(temporaryDirectory(), "file");
  writeFileSync(path, "x");
  const first = SharedDescriptor.open(path, "r");
  renameSync(path, `${path}.renamed`);
  const second = SharedDescriptor.open(`${path}.renamed`, "r");
  expect(second.fd).toBe(first.fd);
  expect([first.isAt(path), first.isAt(`${path}.renamed`)]).toEqual([false, true]);
  const writable = SharedDescriptor.open(`${path}.renamed`, "r+");
  expect(writable.fd).not.toBe(first.fd);
  first.release();
  first.release();
  const third = SharedDescriptor.open(`${path}.renamed`, "r");
  expect(third.fd).toBe(second.fd);
  for (const held of [second, third, writable]) held.release();
  expect(() => fstatSync(second.fd)).toThrow();
});

test("a second object on the same database leaves the locks of the first in place when it is closed", async () => {
  const path = createDatabase();
  const database = OperationalDatabase.open(path);
  onTestFinished(() => database.close());
  database.adopt(database.baseline());
  const second = OperationalDatabase.open(path);
  const files = DatabaseFiles.open(path);
  files.attachWalIndex();
  second.close();
  files.close();

  // Were the read lock lost, the other process could empty the WAL.
  const writer = TestProcess.python("writer.py", [path]);
  await writer.more(20);
  await writer.kill();
  const checkpointing = TestProcess.node("checkpointing", [path]);
  await checkpointing.more(5);
  expect(checkpointing.latest).toBe(1);
  await checkpointing.stop();
  const change = database.capture({ maxBytes: 1 << 20 });
  expect(change?.commits).toBeGreaterThanOrEqual(20);
});

test("a write lock of another object survives too", async () => {
  const path = createDatabase();
  const holder = new Database(path);
  const kept = DatabaseFiles.open(path);
  onTestFinished(() => {
    holder.close();
    kept.close();
  });
  holder.exec("BEGIN IMMEDIATE");
  kept.attachWalIndex();
  const second = OperationalDatabase.open(path);
  second.close();
  const writer = TestProcess.python("one-write.py", [path]);
  await writer.more(1);
  expect(writer.latest).toBe("database is locked");
  holder.exec("ROLLBACK");
});

import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { DatabaseFiles } from "../../src/sqlite/database-files.ts";
import { Pin } from "../../src/sqlite/pin.ts";
import type { WalIndexState } from "../../src/sqlite/wal-index.ts";
import { createDatabase } from "./application-database.ts";

interface Scene {
  readonly files: DatabaseFiles;
  readonly pin: Pin;
  readonly commit: () => void;
  /** Calls `interfere` before each of the pin's looks at the wal-index. */
  beforeLook(interfere: (look: number) => void): void;
}

function createScene(): Scene {
  const path = createDatabase();
  const writer = new Database(path);
  writer.pragma("synchronous = OFF");
  const insert = writer.prepare("INSERT INTO t (b) VALUES ('x')");
  const files = DatabaseFiles.open(path);
  const pin = new Pin(files);
  pin.touch();
  insert.run();
  onTestFinished(() => {
    pin.close();
    writer.close();
    files.close();
  });
  return {
    files,
    pin,
    commit: () => void insert.run(),
    beforeLook: (interfere) => {
      let look = 0;
      const read = files.readWalIndex.bind(files);
      files.readWalIndex = (): WalIndexState | null => {
        interfere(++look);
        return read();
      };
    },
  };
}

test("a pin begins again until no commit comes between its beginning and its look at the wal-index", () => {
  const { files, pin, commit, beforeLook } = createScene();
  let last = 0;
  beforeLook((look) => {
    last = look;
    // Looks 2 and 4 are the ones after a beginning.
    if (look === 2 || look === 4) commit();
  });
  expect(pin.begin().maxFrame).toBe(files.peekWalIndex()?.maxFrame);
  expect(last).toBe(6);
});

test("a pin gives up as busy when commits come between without end", () => {
  const { pin, commit, beforeLook } = createScene();
  beforeLook((look) => {
    if (look % 2 === 0) commit();
  });
  expect(() => pin.begin()).toThrow(expect.objectContaining({ code: "DATABASE_BUSY" }));
});

test("a pin that finds no valid wal-index says so", () => {
  const { files, pin } = createScene();
  files.readWalIndex = () => null;
  expect(() => pin.begin()).toThrow(expect.objectContaining({ code: "WAL_INDEX_INVALID" }));
});

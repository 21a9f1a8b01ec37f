import { appendFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { DirectoryFiles } from "../../src/salvage/directory-files.ts";
import { LostDatabase } from "../../src/salvage/lost-database.ts";
import { createClinic } from "../support/members.ts";
import { mountSmallFileSystem } from "../support/small-file-system.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** As if an application wrote to the WAL whenever a file is copied. */
class FilesInUse extends DirectoryFiles {
  override async copy(path: string, localPath: string): Promise<boolean> {
    const copied = await super.copy(path, localPath);
    appendFileSync(`${path.replace(/-wal$/, "")}-wal`, "more");
    return copied;
  }
}

test("a database that is written to while it is copied is refused", async () => {
  const path = join(temporaryDirectory(), "clinic.db");
  const application = createClinic(path);
  const files = new FilesInUse(dirname(path), []);
  await expect(LostDatabase.open(files, path, temporaryDirectory(), 4096)).rejects.toMatchObject({
    code: "SALVAGE_IN_USE",
  });
  application.close();
});

test("a database that there is no room for is said to need it, before anything is written", async () => {
  const room = mountSmallFileSystem(1 << 20);
  if (room === null) return;
  const path = join(temporaryDirectory(), "clinic.db");
  writeFileSync(path, Buffer.alloc(2 << 20));
  using lost = await LostDatabase.open(new DirectoryFiles(dirname(path), []), path, room.path, 4096);
  await expect(lost.copyDatabase()).rejects.toMatchObject({
    code: "SALVAGE_SPACE",
    message: expect.stringMatching(/has 2097152 bytes, and \d+ are free/),
  });
});

import { mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CLINIC, inboxPath, openMember } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

test("a mirror that has no copy yet shows how much has come of the file that is on its way", async () => {
  const root = temporaryDirectory();
  await using porto = await openMember(root, "porto");
  const receiving = () => porto.ownStatus().databases[CLINIC]?.receiving;
  expect(receiving()).toBeNull();
  mkdirSync(inboxPath(root, "porto"), { recursive: true });
  const part = join(inboxPath(root, "porto"), ".0000000000000001-0000000000000009.ltx.part");
  writeFileSync(part, "");
  truncateSync(part, 70_000);
  expect(receiving()).toEqual({ bytes: 70_000, total: null });
  truncateSync(part, 140_000);
  expect(receiving()).toEqual({ bytes: 140_000, total: null });
  rmSync(part);
  expect(receiving()).toBeNull();
});

/** An SFTP server may let members make symbolic links in a mailbox: they lead this member nowhere. */
import { existsSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { entriesOf, readSmallFile } from "../../src/member/inbox-entries.ts";
import { CLINIC, FIRST_EPOCH, inboxPath, openMember } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** A directory with a file and a directory of somebody else's, also where an inbox's or a resync's would be looked for. */
function somebodysDirectory(): string {
  const victim = join(temporaryDirectory(), "victim");
  for (const directory of [
    victim,
    join(victim, FIRST_EPOCH),
    join(victim, CLINIC),
    join(victim, CLINIC, FIRST_EPOCH),
  ]) {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "precious.db"), "precious");
  }
  return victim;
}

const everything = (directory: string) => readdirSync(directory, { recursive: true }).sort();

describe("a link in place of", () => {
  const places = {
    "the inbox": (root: string) => dirname(dirname(inboxPath(root, "porto"))),
    "a database's directory": (root: string) => dirname(inboxPath(root, "porto")),
    "an epoch's directory": (root: string) => inboxPath(root, "porto"),
  };

  test.each(Object.entries(places))("%s is an error, and nothing behind it is touched", async (_, placeOf) => {
    const root = temporaryDirectory();
    const victim = somebodysDirectory();
    const before = everything(victim);
    await using porto = await openMember(root, "porto");
    const place = placeOf(root);
    renameSync(place, `${place}.aside`);
    symlinkSync(victim, place);
    await expect(porto.integrate()).rejects.toMatchObject({ code: "MAILBOX_LINK", path: place });
    expect(everything(victim)).toEqual(before);
    expect(porto.ownStatus().databases[CLINIC]?.error).toMatchObject({ code: "MAILBOX_LINK" });
  });

  test.each(Object.entries(places))("%s that is there at the start is one, too", async (_, placeOf) => {
    const root = temporaryDirectory();
    const victim = somebodysDirectory();
    const before = everything(victim);
    mkdirSync(dirname(placeOf(root)), { recursive: true });
    symlinkSync(victim, placeOf(root));
    await using porto = await openMember(root, "porto");
    await expect(porto.integrate()).rejects.toMatchObject({ code: "MAILBOX_LINK" });
    expect(everything(victim)).toEqual(before);
  });

  test("the directory of page checksums is not cleared", async () => {
    const root = temporaryDirectory();
    const victim = somebodysDirectory();
    const before = everything(victim);
    mkdirSync(join(root, "porto", "mailbox"), { recursive: true });
    symlinkSync(victim, join(root, "porto", "mailbox", "resync"));
    {
      await using porto = await openMember(root, "porto");
      await porto.integrate();
    }
    expect(everything(victim)).toEqual(before);
  });
});

test("a small file is read only when it is one", () => {
  const directory = temporaryDirectory();
  const at = (name: string) => join(directory, name);
  writeFileSync(at("small"), "text");
  mkdirSync(at("directory"));
  symlinkSync("/dev/zero", at("zero"));
  symlinkSync(at("small"), at("link"));
  expect(readSmallFile(at("small"), 4)).toBe("text");
  expect(["directory", "zero", "link", "none"].map((name) => readSmallFile(at(name), 4))).toEqual([
    null,
    null,
    null,
    null,
  ]);
  expect(readSmallFile(at("small"), 3)).toBeNull();
});

test("a directory with the name of an offer keeps no offer from being found", async () => {
  const root = temporaryDirectory();
  await using porto = await openMember(root, "porto");
  const inbox = dirname(dirname(inboxPath(root, "porto")));
  mkdirSync(join(inbox, "_offer-0123456789abcdef.json"));
  expect(await porto.offers.look()).toBe(false);
  expect(entriesOf(inbox)).toContain("_offer-0123456789abcdef.json");
  expect(existsSync(inbox)).toBe(true);
});

import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { Member } from "../../src/member/member.ts";
import { createClinic } from "../support/members.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

type Databases = Readonly<Record<string, string>>;

/** Opens the operational member of a pair with these databases; paths are below `root`. */
async function openLisbon(root: string, databases: Databases): Promise<Member> {
  const entry = (name: string, files: Databases) => ({
    mailbox: `file://${join(root, name, "mailbox")}`,
    state: join(root, name, "state"),
    databases: Object.fromEntries(Object.entries(files).map(([key, path]) => [key, join(root, path)])),
  });
  const members = { lisbon: entry("lisbon", databases), porto: entry("porto", { "*": "copies/*.db" }) };
  const path = join(root, "afterimage.yaml");
  writeFileSync(path, stringify({ mirror: "clinic", operational: "lisbon", members }));
  return await Member.open({
    configuration: loadConfiguration(path),
    member: "lisbon",
    logger: pino({ level: "silent" }),
  });
}

function create(root: string, path: string): void {
  createClinic(join(root, path)).close();
}

function found(member: Member): string[] {
  return [...member.plan().databases.keys()];
}

function codes(member: Member): string[] {
  return member.context.store.events({ limit: 1000 }).map(({ code }) => code);
}

test("named databases and earlier patterns come first, and what is left out is said once", async () => {
  const root = temporaryDirectory();
  for (const directory of ["a", "b"]) mkdirSync(join(root, directory));
  for (const path of ["a/north.db", "a/named.db", "a/not a name.db", "b/t-north.db", "b/south.db"]) create(root, path);
  await using member = await openLisbon(root, { accounts: "a/named.db", "t-*": "a/*.db", "*": "b/*.db" });
  const paths = { accounts: "a/named.db", "t-north": "a/north.db", south: "b/south.db" };
  expect(Object.fromEntries(member.plan().databases)).toEqual(
    Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, join(root, path)])),
  );
  found(member);
  expect(codes(member).filter((code) => code === "DATABASE_IGNORED")).toHaveLength(2);
});

test("a database that was served stays as long as its directory cannot be read, also over a restart", async () => {
  const root = temporaryDirectory();
  mkdirSync(join(root, "a"));
  create(root, "a/north.db");
  {
    await using member = await openLisbon(root, { "*": "a/*.db" });
    await member.rotate();
    expect(member.isOutdated).toBe(false);
    renameSync(join(root, "a"), join(root, "away"));
    expect([found(member), member.isOutdated, member.context.isRemoved("north")]).toEqual([["north"], false, false]);
    expect(member.ownStatus().errors).toMatchObject([{ code: "DATABASES_UNREADABLE" }]);
  }
  {
    await using member = await openLisbon(root, { "*": "a/*.db" });
    expect(found(member)).toEqual(["north"]);
    renameSync(join(root, "away"), join(root, "a"));
    rmSync(join(root, "a/north.db"));
    expect([found(member), member.isOutdated, member.context.isRemoved("north")]).toEqual([[], true, true]);
    expect(member.ownStatus().errors).toEqual([]);
    await member.take(member.plan());
    expect(codes(member)).toEqual(
      expect.arrayContaining(["DATABASES_UNREADABLE", "DATABASES_READABLE", "DATABASE_REMOVED"]),
    );
    // Its journal is still kept, counted and shown.
    expect(await member.segments({ database: "north" })).toHaveLength(1);
    expect((await member.purge({ dryRun: true })).map(({ database }) => database)).toEqual(["north"]);
    await expect(member.rotate(["north"])).rejects.toMatchObject({ code: "DATABASE_UNKNOWN" });
  }
  await using member = await openLisbon(root, { "*": "a/*.db" });
  expect(codes(member).filter((code) => code === "DATABASE_REMOVED")).toHaveLength(1);
});

test("a duty that was let go of opens its database no more", async () => {
  const root = temporaryDirectory();
  mkdirSync(join(root, "a"));
  create(root, "a/north.db");
  await using member = await openLisbon(root, { "*": "a/*.db" });
  await member.rotate();
  const duty = member.operational.get("north");
  renameSync(join(root, "a/north.db"), join(root, "north.db"));
  await member.take(member.plan());
  renameSync(join(root, "north.db"), join(root, "a/north.db"));
  await expect(duty?.rotate()).rejects.toMatchObject({ code: "DATABASE_UNKNOWN" });
  expect(duty?.walBytes).toBeNull();
  await member.take(member.plan());
  const [result] = await member.rotate();
  expect(result?.database).toBe("north");
  expect(member.context.store.database("north")?.error).toBeNull();
});

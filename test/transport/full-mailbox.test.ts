import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DirectoryTransport } from "../../src/transport/directory-transport.ts";
import { targetError } from "../../src/transport/file-system-error.ts";
import { mountSmallFileSystem } from "../support/small-file-system.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MIB = 1024 * 1024;

function local(bytes: number): string {
  const path = join(temporaryDirectory(), "local.ltx");
  writeFileSync(path, Buffer.alloc(bytes, 7));
  return path;
}

test("a put that does not fit leaves nothing behind, and succeeds once there is space", async () => {
  const mounted = mountSmallFileSystem(4 * MIB);
  if (mounted === null) return;
  const root = join(mounted.path, "mailbox");
  mkdirSync(root);
  writeFileSync(join(mounted.path, "ballast"), Buffer.alloc(2 * MIB));
  const transport = new DirectoryTransport(root);
  await transport.publish("status.json", Buffer.from("old"));

  const path = local(3 * MIB);
  const full = { code: "TARGET_FULL", hint: expect.stringContaining("space") };
  await expect(transport.put(path, "inbox/a.ltx")).rejects.toMatchObject(full);
  await expect(transport.publish("status.json", Buffer.alloc(3 * MIB))).rejects.toMatchObject(full);
  expect(readdirSync(join(root, "inbox"))).toEqual([]);
  expect(readdirSync(root).sort()).toEqual(["inbox", "status.json"]);
  expect(Buffer.from((await transport.read("status.json", { maxBytes: 10 })) ?? []).toString()).toBe("old");

  rmSync(join(mounted.path, "ballast"));
  expect(await transport.put(path, "inbox/a.ltx")).toBe("stored");
  expect(await transport.put(path, "inbox/a.ltx")).toBe("present");
});

test("a local file system that is full is told apart from the mailbox", async () => {
  const mounted = mountSmallFileSystem(MIB);
  if (mounted === null) return;
  const transport = new DirectoryTransport(temporaryDirectory());
  await transport.put(local(2 * MIB), "a.ltx");
  await expect(transport.get("a.ltx", join(mounted.path, "a.ltx"))).rejects.toMatchObject({ code: "LOCAL_FAILED" });
  expect(readdirSync(mounted.path)).toEqual([]);
});

test("a mailbox on a file system that became read-only can be read, and says why it takes nothing", async () => {
  const mounted = mountSmallFileSystem(MIB);
  if (mounted === null) return;
  const transport = new DirectoryTransport(mounted.path);
  await transport.put(local(100), "inbox/a.ltx");
  mounted.makeReadOnly();
  const readonly = { code: "TARGET_READONLY" };
  await expect(transport.put(local(5), "inbox/b.ltx")).rejects.toMatchObject(readonly);
  await expect(transport.put(local(5), "other/b.ltx")).rejects.toMatchObject(readonly);
  await expect(transport.publish("status.json", new Uint8Array())).rejects.toMatchObject(readonly);
  await expect(transport.remove("inbox/a.ltx")).rejects.toMatchObject(readonly);
  expect(await transport.list("inbox")).toMatchObject([{ name: "a.ltx", size: 100 }]);
});

test.each([
  ["ENOSPC", "TARGET_FULL"],
  ["EDQUOT", "TARGET_FULL"],
  ["EROFS", "TARGET_READONLY"],
  ["EACCES", "TARGET_DENIED"],
  ["EPERM", "TARGET_DENIED"],
  ["ENOENT", "TARGET_MISSING"],
  ["ESTALE", "UNREACHABLE"],
  ["ENAMETOOLONG", "NAME_INVALID"],
  ["EFBIG", "FILE_TOO_LARGE"],
  ["EIO", "TARGET_FAILED"],
])("%s of the mailbox's file system is %s", (errno, code) => {
  const cause = Object.assign(new Error("it failed"), { code: errno });
  const hint = expect.stringMatching(/.{20}/);
  expect(targetError(cause, "put a.ltx", "/srv")).toMatchObject({ code, cause, path: "/srv", hint });
});

test("what is not an error of a system call stays what it is", () => {
  const reason = new Error("stop");
  expect(targetError(reason, "put a.ltx", "/srv")).toBe(reason);
});

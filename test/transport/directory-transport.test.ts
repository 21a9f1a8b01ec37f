import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test, vi } from "vitest";
import { DirectoryTransport } from "../../src/transport/directory-transport.ts";
import { startChild } from "../support/child-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { describeTransport } from "./transport-contract.ts";

const PUTTER = new URL("./putting.ts", import.meta.url);
const HOUR_MS = 60 * 60 * 1000;

describeTransport("a directory", async () => {
  const root = join(temporaryDirectory(), "mailbox");
  mkdirSync(root);
  return {
    open: () => new DirectoryTransport(root),
    takeAway: () => renameSync(root, `${root}.gone`),
    isThere: () => existsSync(root),
  };
});

function mailbox() {
  const directory = temporaryDirectory();
  const root = join(directory, "mailbox");
  mkdirSync(root);
  const local = join(directory, "local.ltx");
  writeFileSync(local, "hello");
  return { directory, root, local, transport: new DirectoryTransport(root) };
}

test("kill -9 of a putting process leaves whole files only, and temporary ones that nobody lists", async () => {
  const { root, local, transport } = mailbox();
  const size = 24 * 1024 * 1024;
  writeFileSync(local, Buffer.alloc(size, 7));
  const inbox = join(root, "inbox");
  const parts = () => (existsSync(inbox) ? readdirSync(inbox).filter((name) => name.endsWith(".part")) : []);
  // A put may end between the look and the kill: rounds are counted that left a half-written file behind.
  for (let interrupted = 0; interrupted < 3; ) {
    const child = startChild(PUTTER, [pathToFileURL(root).href, local]);
    await vi.waitUntil(() => parts().length > 0, { interval: 1, timeout: 20_000 });
    await child.kill();
    if (parts().some((name) => statSync(join(inbox, name)).size < size)) interrupted++;
    for (const entry of await transport.list("inbox")) expect(entry.size).toBe(size);
    expect(await transport.put(local, "inbox/file-1")).toMatch(/^(stored|present)$/);
    rmSync(inbox, { recursive: true });
  }
});

test("temporary files that nobody has written to for an hour are removed, others stay", async () => {
  const { root, local } = mailbox();
  const nowMs = 1_700_000_000_000;
  const transport = new DirectoryTransport(root, { nowMs: () => nowMs });
  mkdirSync(join(root, "inbox"));
  const place = (name: string, ageMs: number) => {
    writeFileSync(join(root, "inbox", name), "x");
    utimesSync(join(root, "inbox", name), (nowMs - ageMs) / 1000, (nowMs - ageMs) / 1000);
  };
  place(".old.ltx.0123abcd.part", HOUR_MS + 1000);
  place(".new.ltx.0123abcd.part", HOUR_MS - 1000);
  place(".other.ltx.part", 2 * HOUR_MS);
  place("old.ltx", 2 * HOUR_MS);
  await transport.put(local, "inbox/a.ltx");
  expect(readdirSync(join(root, "inbox")).sort()).toEqual([
    ".new.ltx.0123abcd.part",
    ".other.ltx.part",
    "a.ltx",
    "old.ltx",
  ]);
});

test("a symbolic link that leads out of the mailbox is neither written nor read through", async () => {
  const { directory, root, local, transport } = mailbox();
  const outside = join(directory, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "secret"), "secret");
  symlinkSync(outside, join(root, "inbox"));
  const refused = { code: "TARGET_OUTSIDE" };
  await expect(transport.put(local, "inbox/a.ltx")).rejects.toMatchObject(refused);
  await expect(transport.put(local, "inbox/orders/a.ltx")).rejects.toMatchObject(refused);
  await expect(transport.publish("inbox/secret", Buffer.from("x"))).rejects.toMatchObject(refused);
  await expect(transport.remove("inbox/secret")).rejects.toMatchObject(refused);
  await expect(transport.read("inbox/secret", { maxBytes: 100 })).rejects.toMatchObject(refused);
  await expect(transport.list("inbox")).rejects.toMatchObject(refused);
  expect(readdirSync(outside)).toEqual(["secret"]);
  expect(readFileSync(join(outside, "secret"), "utf8")).toBe("secret");
});

test("a symbolic link under a file's own name is refused by put and replaced by publish, and what it leads to stays", async () => {
  const { directory, root, local, transport } = mailbox();
  const outside = join(directory, "outside");
  writeFileSync(outside, "hello");
  for (const name of ["status.json", "a.ltx"]) symlinkSync(outside, join(root, name));
  expect(await transport.list("")).toEqual([]);
  await expect(transport.read("a.ltx", { maxBytes: 10 })).rejects.toMatchObject({ code: "TARGET_OUTSIDE" });
  await expect(transport.put(local, "a.ltx")).rejects.toMatchObject({ code: "TARGET_DIFFERS" });
  await transport.publish("status.json", Buffer.from("{}"));
  expect(readFileSync(join(root, "status.json"), "utf8")).toBe("{}");
  expect(readFileSync(outside, "utf8")).toBe("hello");
});

test("a mailbox that is itself a symbolic link is used", async () => {
  const { directory, root, local } = mailbox();
  symlinkSync(root, join(directory, "link"));
  const transport = new DirectoryTransport(join(directory, "link"));
  expect(await transport.put(local, "inbox/a.ltx")).toBe("stored");
  expect(await transport.list("inbox")).toHaveLength(1);
});

test("a named pipe in the mailbox is refused, and nobody waits for it", async () => {
  const { root, transport } = mailbox();
  execFileSync("mkfifo", [join(root, "status.json")]);
  await expect(transport.read("status.json", { maxBytes: 10 })).rejects.toMatchObject({ code: "TARGET_FAILED" });
  expect(await transport.list("")).toEqual([]);
});

test("a mailbox whose path is a file is missing", async () => {
  const { local } = mailbox();
  const transport = new DirectoryTransport(local);
  await expect(transport.list("")).rejects.toMatchObject({ code: "TARGET_MISSING" });
});

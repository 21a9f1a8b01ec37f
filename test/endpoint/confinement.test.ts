/** What a member that holds a listed key may do, and all that it may not. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SFTPWrapper } from "ssh2";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { MOUNTED_AT, openSftp, type RunningEndpoint, runEndpoint, statusOf } from "./running-endpoint.ts";

const MISSING = 2;
const DENIED = 3;
const UNSUPPORTED = 8;
const FULL = 14;

const NAME = "inbox/orders/0000000000000001/0000000000000001-0000000000000002.ltx";

async function connected(): Promise<{ endpoint: RunningEndpoint; sftp: SFTPWrapper }> {
  const endpoint = await runEndpoint();
  return { endpoint, sftp: await openSftp(await endpoint.connect()) };
}

function local(text: string): string {
  const path = join(temporaryDirectory(), "local");
  writeFileSync(path, text);
  return path;
}

describe("a member", () => {
  test("reads the status, writes and lists the inbox, and takes back what it wrote", async () => {
    const endpoint = await runEndpoint();
    writeFileSync(join(endpoint.directory, "status.json"), "{}");
    const transport = endpoint.open();
    expect(Buffer.from((await transport.read("status.json", { maxBytes: 10 })) ?? []).toString()).toBe("{}");
    expect(await transport.put(local("hello"), NAME)).toBe("stored");
    expect(readFileSync(join(endpoint.directory, NAME), "utf8")).toBe("hello");
    expect(await transport.list("inbox/orders/0000000000000001")).toMatchObject([{ size: 5 }]);
    await transport.remove(NAME);
    expect(existsSync(join(endpoint.directory, NAME))).toBe(false);
  });

  test("does not see what else lies in the mailbox", async () => {
    const endpoint = await runEndpoint();
    writeFileSync(join(endpoint.directory, "notes.txt"), "secret");
    mkdirSync(join(endpoint.directory, "other"));
    writeFileSync(join(endpoint.directory, "other", "x"), "secret");
    const transport = endpoint.open();
    expect(await transport.list("")).toMatchObject([{ kind: "directory", name: "inbox" }]);
    expect(await transport.read("notes.txt", { maxBytes: 10 })).toBeNull();
    expect(await transport.read("other/x", { maxBytes: 10 })).toBeNull();
    expect(await transport.list("other")).toEqual([]);
  });

  test("reads page checksums that are there to be compared", async () => {
    const endpoint = await runEndpoint();
    mkdirSync(join(endpoint.directory, "resync", "orders"), { recursive: true });
    writeFileSync(join(endpoint.directory, "resync", "orders", "1.sums"), "checksum");
    const target = local("");
    expect(await endpoint.open().get("resync/orders/1.sums", target)).toBe(8);
    expect(readFileSync(target, "utf8")).toBe("checksum");
  });

  test.each(["status.json", "other/x", "x", "resync/orders/1.sums"])("does not write %s", async (name) => {
    const endpoint = await runEndpoint();
    writeFileSync(join(endpoint.directory, "status.json"), "mine");
    await expect(endpoint.open().publish(name, Buffer.from("x"))).rejects.toMatchObject({
      code: expect.stringMatching(/^TARGET_/),
    });
    expect(readdirSync(endpoint.directory).sort()).toEqual(["inbox", "status.json"]);
    expect(readFileSync(join(endpoint.directory, "status.json"), "utf8")).toBe("mine");
  });
});

describe("a client of its own making", () => {
  const OUTSIDE = [
    "/etc/passwd",
    "../../etc/passwd",
    `${MOUNTED_AT}/../../etc/passwd`,
    `${MOUNTED_AT}/inbox/../../secret`,
    `${MOUNTED_AT}/secret`,
    `${MOUNTED_AT}/inbox/.hidden`,
    `${MOUNTED_AT}/inbox/a\\b`,
    `${MOUNTED_AT}/inbox/a\nb`,
    `${MOUNTED_AT}/inbox/${"x".repeat(256)}`,
    `${MOUNTED_AT}/inbox/${"d/".repeat(40)}x`,
    "/",
    "",
  ];

  test.each(OUTSIDE)("finds nothing at %j", async (path) => {
    const { endpoint, sftp } = await connected();
    writeFileSync(join(endpoint.directory, "..", "secret"), "secret");
    writeFileSync(join(endpoint.directory, "secret"), "secret");
    writeFileSync(join(endpoint.directory, "inbox", ".hidden"), "secret");
    const target = path === "" ? `${MOUNTED_AT}/..` : path;
    expect(await statusOf((done) => sftp.stat(target, done))).toBe(MISSING);
    expect(await statusOf((done) => sftp.open(target, "r", done))).toBe(MISSING);
    expect(await statusOf((done) => sftp.opendir(target, done))).toBe(MISSING);
    for (const flags of ["w", "wx", "a", "r+"] as const) {
      expect(await statusOf((done) => sftp.open(target, flags, done))).not.toBe(0);
    }
    expect(await statusOf((done) => sftp.unlink(target, done))).toBe(MISSING);
    expect(await statusOf((done) => sftp.mkdir(target, done))).toBe(MISSING);
  });

  test("writes only under temporary names, and takes final names by link or rename", async () => {
    const { endpoint, sftp } = await connected();
    const at = (name: string) => `${MOUNTED_AT}/inbox/${name}`;
    expect(await statusOf((done) => sftp.open(at("a.ltx"), "w", done))).toBe(DENIED);
    expect(await statusOf((done) => sftp.writeFile(at(".a.ltx.part"), "whole", done))).toBe(0);
    expect(await statusOf((done) => sftp.ext_openssh_hardlink(at(".a.ltx.part"), at("a.ltx"), done))).toBe(0);
    expect(await statusOf((done) => sftp.ext_openssh_hardlink(at(".a.ltx.part"), at("a.ltx"), done))).toBe(11);
    expect(await statusOf((done) => sftp.rename(at(".a.ltx.part"), at("a.ltx"), done))).toBe(11);
    expect(await statusOf((done) => sftp.rename(at("a.ltx"), at("b.ltx"), done))).toBe(DENIED);
    const status = `${MOUNTED_AT}/status.json`;
    expect(await statusOf((done) => sftp.ext_openssh_rename(at(".a.ltx.part"), status, done))).toBe(DENIED);
    expect(await statusOf((done) => sftp.ext_openssh_hardlink(status, at("c.ltx"), done))).toBe(DENIED);
    expect(readdirSync(join(endpoint.directory, "inbox")).sort()).toEqual([".a.ltx.part", "a.ltx"]);
  });

  test("makes no symbolic links and changes no attributes", async () => {
    const { endpoint, sftp } = await connected();
    const path = `${MOUNTED_AT}/inbox/x`;
    expect(await statusOf((done) => sftp.symlink("/etc/passwd", path, done))).toBe(UNSUPPORTED);
    expect(await statusOf((done) => sftp.chmod(`${MOUNTED_AT}/inbox`, 0o777, done))).toBe(UNSUPPORTED);
    expect(await statusOf((done) => sftp.rmdir(`${MOUNTED_AT}/inbox`, done))).toBe(UNSUPPORTED);
    expect(await statusOf((done) => sftp.readlink(path, done))).toBe(UNSUPPORTED);
    expect(readdirSync(join(endpoint.directory, "inbox"))).toEqual([]);
  });

  test("is not led out of the mailbox by a link that lies in it", async () => {
    const { endpoint, sftp } = await connected();
    const outside = temporaryDirectory();
    writeFileSync(join(outside, "secret"), "secret");
    symlinkSync(outside, join(endpoint.directory, "inbox", "out"));
    symlinkSync(join(outside, "secret"), join(endpoint.directory, "inbox", "file"));
    symlinkSync(join(outside, "new"), join(endpoint.directory, "inbox", ".new.part"));
    const at = (name: string) => `${MOUNTED_AT}/inbox/${name}`;
    expect(await statusOf((done) => sftp.open(at("out/secret"), "r", done))).toBe(DENIED);
    expect(await statusOf((done) => sftp.open(at("out/.x.part"), "w", done))).toBe(DENIED);
    expect(await statusOf((done) => sftp.open(at("file"), "r", done))).toBe(MISSING);
    expect(await statusOf((done) => sftp.open(at(".new.part"), "w", done))).toBe(MISSING);
    expect(await statusOf((done) => sftp.unlink(at("out/secret"), done))).toBe(DENIED);
    expect(await statusOf((done) => sftp.mkdir(at("out/d"), done))).toBe(DENIED);
    expect(readdirSync(outside)).toEqual(["secret"]);
  });

  test("waits for no named pipe", async () => {
    const { endpoint, sftp } = await connected();
    execFileSync("mkfifo", [join(endpoint.directory, "inbox", "pipe")]);
    expect(await statusOf((done) => sftp.open(`${MOUNTED_AT}/inbox/pipe`, "r", done))).toBe(4);
  });

  test("gets neither a shell nor a command, a forwarding or another subsystem", async () => {
    const endpoint = await runEndpoint();
    const client = await endpoint.connect();
    const refused = (ask: (done: (error: Error | undefined) => void) => void) =>
      new Promise<Error | undefined>((resolve) => ask(resolve));
    expect(await refused((done) => client.exec("id", done))).toBeInstanceOf(Error);
    expect(await refused((done) => client.shell(done))).toBeInstanceOf(Error);
    expect(await refused((done) => client.subsys("netconf", done))).toBeInstanceOf(Error);
    expect(await refused((done) => client.forwardOut("127.0.0.1", 1, "127.0.0.1", 22, done))).toBeInstanceOf(Error);
    expect(await refused((done) => client.forwardIn("127.0.0.1", 0, done))).toBeInstanceOf(Error);
    expect(await refused((done) => client.openssh_forwardOutStreamLocal("/run/x", done))).toBeInstanceOf(Error);
  });
});

describe("limits", () => {
  test("open handles are limited, and closed ones are free again", async () => {
    const endpoint = await runEndpoint({ limits: { handles: 3 } });
    const sftp = await openSftp(await endpoint.connect());
    const open = () =>
      new Promise<Buffer | null>((resolve) => {
        sftp.opendir(`${MOUNTED_AT}/inbox`, (error, handle) => resolve(error === undefined ? handle : null));
      });
    const handles = [await open(), await open(), await open()];
    expect(handles).not.toContain(null);
    expect(await open()).toBeNull();
    await statusOf((done) => sftp.close(handles[0] ?? Buffer.alloc(0), done));
    expect(await open()).not.toBeNull();
  });

  test("channels of a connection are limited", async () => {
    const endpoint = await runEndpoint({ limits: { channels: 2 } });
    const client = await endpoint.connect();
    await openSftp(client);
    const second = await openSftp(client);
    await expect(openSftp(client)).rejects.toThrow();
    const closed = new Promise((resolve) => second.once("close", resolve));
    second.end();
    await closed;
    await openSftp(client);
  });

  test("a file that grows beyond the limit is refused", async () => {
    const endpoint = await runEndpoint({ limits: { fileBytes: 1_000_000 } });
    const path = join(temporaryDirectory(), "large");
    writeFileSync(path, Buffer.alloc(1_000_001));
    await expect(endpoint.open().put(path, NAME)).rejects.toMatchObject({ code: "TARGET_QUOTA" });
    writeFileSync(path, Buffer.alloc(1_000_000));
    expect(await endpoint.open().put(path, NAME)).toBe("stored");
  });

  test("the space that is to be left free is left free", async () => {
    const endpoint = await runEndpoint({ limits: { reservedBytes: 2 ** 50 } });
    await expect(endpoint.open().put(local("hello"), NAME)).rejects.toMatchObject({ code: "TARGET_FULL" });
    const sftp = await openSftp(await endpoint.connect());
    expect(await statusOf((done) => sftp.open(`${MOUNTED_AT}/inbox/.x.part`, "w", done))).toBe(FULL);
    expect(readdirSync(join(endpoint.directory, "inbox"))).toEqual([]);
  });
});

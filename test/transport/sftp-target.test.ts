/** Servers that cannot or may not write, and servers that lack what OpenSSH has. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { connectClient, MOUNTED_AT, openSftp, runEndpoint } from "../endpoint/running-endpoint.ts";
import { mountSmallFileSystem } from "../support/small-file-system.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { giveToAccount, startSshServer } from "./ssh-server.ts";
import { describeTransport } from "./transport-contract.ts";

const MIB = 1024 * 1024;

function localFile(bytes: number): string {
  const path = join(temporaryDirectory(), "local.ltx");
  writeFileSync(path, Buffer.alloc(bytes, 7));
  return path;
}

/** What a server leaves of an attempt that failed, which the next attempt must not need to know. */
async function untilEmpty(directory: string): Promise<void> {
  await vi.waitUntil(() => !existsSync(directory) || readdirSync(directory).length === 0);
}

describe("an OpenSSH server", () => {
  test("whose disk is too small is full, before or while a file is written, and works again when there is room", async () => {
    const server = await startSshServer();
    const disk = mountSmallFileSystem(8 * MIB, server.directory);
    if (disk === null) return;
    giveToAccount(server.directory);
    const transport = server.open();
    const full = { code: "TARGET_FULL", hint: expect.stringMatching(/space/) };
    await expect(transport.put(localFile(9 * MIB), "inbox/a.ltx")).rejects.toMatchObject(full);
    // A part of a MiB is left, for which nobody asks first.
    writeFileSync(join(server.directory, "ballast"), Buffer.alloc(7.5 * MIB));
    await expect(transport.put(localFile(0.9 * MIB), "inbox/a.ltx")).rejects.toMatchObject(full);
    await expect(transport.publish("status.json", Buffer.alloc(0.9 * MIB))).rejects.toMatchObject(full);
    await untilEmpty(join(server.directory, "inbox"));
    writeFileSync(join(server.directory, "ballast"), "");
    expect(await transport.put(localFile(0.9 * MIB), "inbox/a.ltx")).toBe("stored");
  });

  test("whose file system is read-only says so", async () => {
    const server = await startSshServer();
    const disk = mountSmallFileSystem(8 * MIB, server.directory);
    if (disk === null) return;
    giveToAccount(server.directory);
    const transport = server.open();
    expect(await transport.put(localFile(10), "inbox/a.ltx")).toBe("stored");
    disk.makeReadOnly();
    const readonly = { code: "TARGET_READONLY", hint: expect.stringMatching(/Mount/) };
    await expect(transport.put(localFile(10), "inbox/b.ltx")).rejects.toMatchObject(readonly);
    await expect(transport.put(localFile(10), "other/b.ltx")).rejects.toMatchObject(readonly);
    await expect(transport.publish("status.json", Buffer.from("x"))).rejects.toMatchObject(readonly);
    expect(await transport.list("inbox")).toHaveLength(1);
  });

  test("that has room and refuses all the same has a quota", async () => {
    const server = await startSshServer({ maxFileBlocks: 4096 });
    const transport = server.open();
    const quota = { code: "TARGET_QUOTA", hint: expect.stringMatching(/quota/) };
    await expect(transport.put(localFile(3 * MIB), "inbox/a.ltx")).rejects.toMatchObject(quota);
    expect(await transport.put(localFile(2 * MIB), "inbox/a.ltx")).toBe("stored");
  });

  test("whose directory is somebody else's denies", async () => {
    const server = await startSshServer();
    const transport = server.open();
    expect(await transport.put(localFile(10), "inbox/a.ltx")).toBe("stored");
    for (const directory of [server.directory, join(server.directory, "inbox")]) {
      chownSync(directory, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
      chmodSync(directory, 0o555);
    }
    const denied = { code: "TARGET_DENIED", hint: expect.stringMatching(/permission/) };
    await expect(transport.put(localFile(10), "inbox/b.ltx")).rejects.toMatchObject(denied);
    await expect(transport.put(localFile(10), "other/b.ltx")).rejects.toMatchObject(denied);
    await expect(transport.publish("status.json", Buffer.from("x"))).rejects.toMatchObject(denied);
    await expect(transport.remove("inbox/a.ltx")).rejects.toMatchObject(denied);
    expect(await transport.list("inbox")).toHaveLength(1);
  });

  test("has its forgotten temporary files removed, by its own clock, and no others", async () => {
    const server = await startSshServer();
    const inbox = join(server.directory, "inbox");
    mkdirSync(inbox);
    giveToAccount(inbox);
    const place = (name: string, ageSeconds: number) => {
      writeFileSync(join(inbox, name), "x");
      const seconds = Date.now() / 1000 - ageSeconds;
      utimesSync(join(inbox, name), seconds, seconds);
    };
    place(".old.ltx.0123abcd.part", 3700);
    place(".new.ltx.0123abcd.part", 3500);
    place(".other.ltx.part", 7200);
    place("old.ltx", 7200);
    await server.open().put(localFile(10), "inbox/a.ltx");
    const left = [".new.ltx.0123abcd.part", ".other.ltx.part", "a.ltx", "old.ltx"];
    await vi.waitFor(() => expect(readdirSync(inbox).sort()).toEqual(left));
    place(".old.ltx.0123abcd.part", 3700);
    await server.open().publish("inbox/a.ltx", Buffer.from("x"));
    await vi.waitFor(() => expect(readdirSync(inbox).sort()).toEqual(left));
  });

  test("with a link under a file's name has it refused by put and replaced by publish", async () => {
    const server = await startSshServer();
    for (const name of ["a.ltx", "status.json"]) symlinkSync("elsewhere", join(server.directory, name));
    const transport = server.open();
    await expect(transport.put(localFile(10), "a.ltx")).rejects.toMatchObject({ code: "TARGET_DIFFERS" });
    await transport.publish("status.json", Buffer.from("{}"));
    expect(statSync(join(server.directory, "status.json")).size).toBe(2);
    expect(existsSync(join(server.directory, "elsewhere"))).toBe(false);
  });
});

describe("the endpoint of a daemon", () => {
  test("whose disk is too small, or read-only, says so", async () => {
    const directory = temporaryDirectory();
    const disk = mountSmallFileSystem(8 * MIB, directory);
    if (disk === null) return;
    const endpoint = await runEndpoint({ directory, limits: { reservedBytes: 0 } });
    const transport = endpoint.open();
    await expect(transport.put(localFile(9 * MIB), "inbox/a.ltx")).rejects.toMatchObject({ code: "TARGET_FULL" });
    writeFileSync(join(directory, "ballast"), Buffer.alloc(7.5 * MIB));
    await expect(transport.put(localFile(0.9 * MIB), "inbox/a.ltx")).rejects.toMatchObject({ code: "TARGET_FULL" });
    disk.makeReadOnly();
    await expect(transport.put(localFile(10), "inbox/a.ltx")).rejects.toMatchObject({ code: "TARGET_READONLY" });
  });

  test("under another path than the URL's is missing", async () => {
    const endpoint = await runEndpoint();
    const transport = endpoint.open({ path: `${MOUNTED_AT}/else` });
    await expect(transport.list("")).rejects.toMatchObject({ code: "TARGET_MISSING" });
  });
});

/** As other servers are, which have only what SFTP itself has. */
const NO_EXTENSIONS = { sftpArguments: "-P posix-rename,hardlink,fsync,statvfs,limits" };

test("an OpenSSH server can be had without its extensions", async () => {
  const server = await startSshServer(NO_EXTENSIONS);
  const { host, port, user: username } = server.mailbox;
  const privateKey = readFileSync(server.ssh.identity ?? "");
  const sftp = await openSftp(await connectClient({ host, port, username, privateKey }));
  const ask = [
    () => sftp.ext_openssh_rename("/a", "/b", () => undefined),
    () => sftp.ext_openssh_hardlink("/a", "/b", () => undefined),
    () => sftp.ext_openssh_fsync(Buffer.alloc(4), () => undefined),
    () => sftp.ext_openssh_statvfs("/a", () => undefined),
  ];
  for (const request of ask) expect(request).toThrow(/not support/);
});

describeTransport("an OpenSSH server without its extensions", async () => {
  const server = await startSshServer(NO_EXTENSIONS);
  return {
    open: () => server.open(),
    takeAway: () => renameSync(server.directory, `${server.directory}.gone`),
    isThere: () => existsSync(server.directory),
  };
});

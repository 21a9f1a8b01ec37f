import { readdirSync } from "node:fs";
import { userInfo } from "node:os";
import { expect, test } from "vitest";
import { runEndpoint } from "../endpoint/running-endpoint.ts";
import { startSshServer } from "./ssh-server.ts";

test("OpenSSH's server and the endpoint have every extension, and nothing is left there by asking", async () => {
  const server = await startSshServer();
  expect(await server.open().missingExtensions()).toEqual([]);
  expect(readdirSync(server.directory)).toEqual([]);
  const endpoint = await runEndpoint();
  expect(await endpoint.open().missingExtensions()).toEqual([]);
  expect(readdirSync(endpoint.directory, { recursive: true })).toEqual(["inbox"]);
});

test("extensions that a server does not offer are named, and the connection goes on", async () => {
  const server = await startSshServer({ sftpArguments: "-P fsync,posix-rename,hardlink,statvfs" });
  const transport = server.open();
  expect(await transport.missingExtensions()).toEqual([
    "fsync@openssh.com",
    "hardlink@openssh.com",
    "posix-rename@openssh.com",
    "statvfs@openssh.com",
  ]);
  expect(await transport.list("")).toEqual([]);
});

test("a server that confines the account to its chroot, and the endpoint, show no file of the machine", async () => {
  expect(await (await runEndpoint()).open().seesMachine()).toBe(false);
  // Only root can give a chroot; without one the whole machine is seen.
  expect(await (await startSshServer()).open().seesMachine()).toBe(userInfo().uid !== 0);
});

test.runIf(userInfo().uid === 0)("a server without a chroot shows the machine's files", async () => {
  const server = await startSshServer({ chroot: false });
  expect(await server.open().seesMachine()).toBe(true);
});

/** How this side knows the server, and how the server knows this side. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { SshConfiguration } from "../../src/config/configuration.ts";
import { SftpTransport } from "../../src/transport/sftp-transport.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { fingerprint, generateKey, NO_SSH, type SshServer, startSshServer } from "./ssh-server.ts";

function openWith(server: SshServer, ssh: Partial<SshConfiguration>, hostKey = server.mailbox.hostKey): SftpTransport {
  const transport = new SftpTransport({ ...server.mailbox, hostKey }, { ...server.ssh, ...ssh });
  onTestFinished(() => transport.close());
  return transport;
}

describe("the server's host key", () => {
  test.each(["ed25519", "rsa", "ecdsa"] as const)("may be pinned by its %s key, whichever it prefers", async (type) => {
    const server = await startSshServer({ hostKeys: ["ed25519", "rsa", "ecdsa"] });
    const hostKey = fingerprint(join(server.keys, `host_${type}`));
    expect(await openWith(server, {}, hostKey).list("")).toEqual([]);
  });

  test("that is neither pinned nor listed is refused, and its fingerprint is shown", async () => {
    const server = await startSshServer();
    const shown = fingerprint(join(server.keys, "host_ed25519"));
    for (const knownHosts of [null, "/nothing/known_hosts"]) {
      await expect(openWith(server, { knownHosts }, null).list("")).rejects.toMatchObject({
        code: "HOST_KEY_UNKNOWN",
        message: expect.stringContaining(shown),
        hint: expect.stringContaining(shown),
      });
    }
  });

  test("that is another than the pinned one is refused before anything is sent", async () => {
    const server = await startSshServer({ hostKeys: ["ed25519", "rsa"] });
    const other = join(server.keys, "other");
    generateKey(other);
    const transport = openWith(server, {}, fingerprint(other));
    await expect(transport.publish("status.json", Buffer.from("x"))).rejects.toMatchObject({
      code: "HOST_KEY_CHANGED",
      message: expect.stringContaining(fingerprint(join(server.keys, "host_ed25519"))),
    });
    expect(existsSync(join(server.directory, "status.json"))).toBe(false);
  });

  test("that changes while the transport is in use is refused at the next connection", async () => {
    const server = await startSshServer();
    const transport = server.open();
    await transport.list("");
    await server.stop();
    for (const file of ["host_ed25519", "host_ed25519.pub"]) rmSync(join(server.keys, file));
    generateKey(join(server.keys, "host_ed25519"));
    await server.start();
    await vi.waitFor(() => expect(transport.list("")).rejects.toMatchObject({ code: "HOST_KEY_CHANGED" }));
    await expect(transport.list("")).rejects.toMatchObject({ code: "HOST_KEY_CHANGED" });
  });

  test("is found in a list of known hosts, plain or hashed, of whatever type", async () => {
    const server = await startSshServer({ hostKeys: ["ed25519", "ecdsa"] });
    const { port } = server.mailbox;
    const knownHosts = join(server.keys, "known_hosts");
    const [type, key] = readFileSync(join(server.keys, "host_ecdsa.pub"), "utf8").split(" ");
    writeFileSync(
      knownHosts,
      `# comment\n\nother.example ssh-rsa AAAA\n*.example,[127.0.0.*]:${port} ${type} ${key}\n`,
    );
    expect(await openWith(server, { knownHosts }, null).list("")).toEqual([]);
    writeFileSync(knownHosts, `[127.0.0.1]:${port} ${type} ${key}\n`);
    execFileSync("ssh-keygen", ["-q", "-H", "-f", knownHosts], { stdio: "ignore" });
    expect(readFileSync(knownHosts, "utf8")).toMatch(/^\|1\|/);
    expect(await openWith(server, { knownHosts }, null).list("")).toEqual([]);
  });

  test("that is listed otherwise, for others or as revoked is refused", async () => {
    const server = await startSshServer();
    const { port } = server.mailbox;
    const knownHosts = join(server.keys, "known_hosts");
    const key = readFileSync(join(server.keys, "host_ed25519.pub"), "utf8").split(" ").slice(0, 2).join(" ");
    generateKey(join(server.keys, "other"));
    const other = readFileSync(join(server.keys, "other.pub"), "utf8").split(" ").slice(0, 2).join(" ");
    const codeFor = async (line: string) => {
      writeFileSync(knownHosts, `${line}\n`);
      return await openWith(server, { knownHosts }, null)
        .list("")
        .then(() => "accepted")
        .catch((error) => error.code);
    };
    expect(await codeFor(`[127.0.0.1]:${port} ${key}`)).toBe("accepted");
    expect(await codeFor(`[127.0.0.1]:${port} ${other}`)).toBe("HOST_KEY_CHANGED");
    expect(await codeFor(`[127.0.0.2]:${port} ${key}`)).toBe("HOST_KEY_UNKNOWN");
    expect(await codeFor(`127.0.0.1 ${key}`)).toBe("HOST_KEY_UNKNOWN");
    expect(await codeFor(`![127.0.0.1]:${port},* ${key}`)).toBe("HOST_KEY_UNKNOWN");
    expect(await codeFor(`[127.0.0.1]:${port} ${key}\n@revoked * ${key}`)).toBe("HOST_KEY_CHANGED");
  });
});

describe("this member's key", () => {
  test("that the server does not list is refused, also when it is removed while the transport is in use", async () => {
    const server = await startSshServer();
    const transport = server.open();
    await transport.list("");
    writeFileSync(join(server.keys, "authorized_keys"), "");
    await transport.list("");
    await server.stop();
    await server.start();
    await vi.waitFor(() =>
      expect(transport.list("")).rejects.toMatchObject({
        code: "LOGIN_REFUSED",
        message: expect.stringContaining(join(server.keys, "identity")),
      }),
    );
  });

  test.each(["rsa", "ecdsa"] as const)("may be an %s key", async (type) => {
    const server = await startSshServer();
    const identity = join(server.keys, type);
    generateKey(identity, { type });
    writeFileSync(join(server.keys, "authorized_keys"), readFileSync(`${identity}.pub`));
    expect(await openWith(server, { identity }).list("")).toEqual([]);
  });

  test("may be encrypted, with its passphrase in a file or in the environment", async () => {
    const server = await startSshServer();
    const identity = join(server.keys, "encrypted");
    generateKey(identity, { passphrase: "opensesame" });
    writeFileSync(join(server.keys, "authorized_keys"), readFileSync(`${identity}.pub`));
    const passphraseFile = join(server.keys, "passphrase");
    writeFileSync(passphraseFile, "opensesame\n");
    expect(await openWith(server, { identity, passphraseFile }).list("")).toEqual([]);
    const passphraseVariable = "AFTERIMAGE_TEST_PASSPHRASE";
    await expect(openWith(server, { identity, passphraseVariable }).list("")).rejects.toMatchObject({
      code: "IDENTITY_UNUSABLE",
      message: expect.stringContaining(passphraseVariable),
    });
    vi.stubEnv(passphraseVariable, "opensesame");
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    expect(await openWith(server, { identity, passphraseVariable }).list("")).toEqual([]);

    const locked = { code: "IDENTITY_UNUSABLE", path: identity, hint: expect.stringMatching(/passphrase/) };
    await expect(openWith(server, { identity }).list("")).rejects.toMatchObject(locked);
    writeFileSync(passphraseFile, "wrong\n");
    await expect(openWith(server, { identity, passphraseFile }).list("")).rejects.toMatchObject(locked);
  });

  test("that is not there, is a public key or is no key is told apart from one that is refused", async () => {
    const keys = temporaryDirectory();
    generateKey(join(keys, "id"));
    writeFileSync(join(keys, "text"), "nonsense");
    for (const name of ["none", "id.pub", "text"]) {
      const target = { host: "127.0.0.1", port: 9, user: "x", hostKey: null, path: "/x", bandwidth: null };
      const transport = new SftpTransport(target, { ...NO_SSH, identity: join(keys, name) });
      await expect(transport.list("")).rejects.toMatchObject({ code: "IDENTITY_UNUSABLE", path: join(keys, name) });
    }
  });

  test("may be in an agent", async () => {
    const server = await startSshServer();
    const socket = join(server.keys, "agent");
    const started = execFileSync("ssh-agent", ["-a", socket], { encoding: "utf8" });
    const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(started)?.[1]);
    onTestFinished(() => {
      process.kill(pid);
      vi.unstubAllEnvs();
    });
    vi.stubEnv("SSH_AUTH_SOCK", socket);
    await expect(openWith(server, { identity: null }).list("")).rejects.toMatchObject({ code: "LOGIN_REFUSED" });
    chmodSync(join(server.keys, "identity"), 0o600);
    execFileSync("ssh-add", ["-q", join(server.keys, "identity")], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
    expect(await openWith(server, { identity: null }).list("")).toEqual([]);
    vi.stubEnv("SSH_AUTH_SOCK", "");
    await expect(openWith(server, { identity: null }).list("")).rejects.toMatchObject({ code: "IDENTITY_UNUSABLE" });
  });
});

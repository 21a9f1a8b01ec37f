/** Looking at a server's host key, of a real sshd and of the endpoint, without logging in. */
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import ssh2 from "ssh2";
import { describe, expect, onTestFinished, test } from "vitest";
import { newPrivateKey } from "../../src/endpoint/host-key.ts";
import { fingerprintOf, type HostKeySource } from "../../src/transport/ssh-host-key.ts";
import { shownHostKey, typeOfHostKey } from "../../src/transport/ssh-shown-host-key.ts";
import { runEndpoint } from "../endpoint/running-endpoint.ts";
import { fingerprint, freePort, generateKey, type SshServer, startSshServer } from "./ssh-server.ts";

async function look({ host, port }: { host: string; port: number }, known: Partial<HostKeySource> = {}) {
  const { bytes, fault } = await shownHostKey({ host, port, hostKey: null, knownHosts: null, ...known });
  return { fingerprint: fingerprintOf(bytes), type: typeOfHostKey(bytes), code: fault?.code ?? null };
}

function hostKey(server: SshServer, type: string): string {
  return fingerprint(join(server.keys, `host_${type}`));
}

describe("a real sshd", () => {
  test("shows the key that it prefers when nothing is known of it", async () => {
    const server = await startSshServer({ hostKeys: ["rsa", "ed25519"] });
    expect(await look(server.mailbox)).toEqual({
      fingerprint: hostKey(server, "ed25519"),
      type: "ssh-ed25519",
      code: "HOST_KEY_UNKNOWN",
    });
  });

  test.each([
    ["ed25519", "ssh-ed25519"],
    ["rsa", "ssh-rsa"],
    ["ecdsa", "ecdsa-sha2-nistp256"],
  ] as const)("shows the pinned key, when it is its %s key", async (name, type) => {
    const server = await startSshServer({ hostKeys: ["ed25519", "rsa", "ecdsa"] });
    const pinned = hostKey(server, name);
    expect(await look(server.mailbox, { hostKey: pinned })).toEqual({ fingerprint: pinned, type, code: null });
  });

  test("that has another key than the pinned one is seen to have", async () => {
    const server = await startSshServer();
    const pinned = hostKey(server, "ed25519");
    await server.stop();
    for (const file of ["host_ed25519", "host_ed25519.pub"]) rmSync(join(server.keys, file));
    generateKey(join(server.keys, "host_ed25519"));
    await server.start();
    const seen = await look(server.mailbox, { hostKey: pinned });
    expect(seen).toMatchObject({ fingerprint: hostKey(server, "ed25519"), code: "HOST_KEY_CHANGED" });
    expect(seen.fingerprint).not.toBe(pinned);
  });

  test("is compared with a list of known hosts, also when that has a key of a type that the server lost", async () => {
    const server = await startSshServer();
    const { host, port } = server.mailbox;
    const knownHosts = join(server.keys, "known_hosts");
    const listed = (name: string) => {
      const [type, key] = readFileSync(join(server.keys, `${name}.pub`), "utf8").split(" ");
      writeFileSync(knownHosts, `[${host}]:${port} ${type} ${key}\n`);
    };
    listed("host_ed25519");
    expect(await look(server.mailbox, { knownHosts })).toMatchObject({ code: null });
    generateKey(join(server.keys, "former"), { type: "rsa" });
    listed("former");
    expect(await look(server.mailbox, { knownHosts })).toEqual({
      fingerprint: hostKey(server, "ed25519"),
      type: "ssh-ed25519",
      code: "HOST_KEY_CHANGED",
    });
  });
});

test("the endpoint inside a daemon shows its key", async () => {
  const { port, fingerprint: expected } = await runEndpoint();
  const known = { hostKey: expected };
  expect(await look({ host: "127.0.0.1", port }, known)).toEqual({
    fingerprint: expected,
    type: "ssh-ed25519",
    code: null,
  });
});

test("nothing of a login reaches the server", async () => {
  const attempts: string[] = [];
  const closed: Promise<void>[] = [];
  const server = new ssh2.Server({ hostKeys: [newPrivateKey()] }, (connection) => {
    connection.on("authentication", (context) => attempts.push(`${context.username} ${context.method}`));
    connection.on("error", () => undefined);
    closed.push(new Promise((resolve) => connection.on("close", () => resolve())));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  onTestFinished(() => {
    server.close();
  });
  await look({ host: "127.0.0.1", port: portOf(server.address()) });
  await Promise.all(closed);
  expect({ connections: closed.length, attempts }).toEqual({ connections: 1, attempts: [] });
});

function portOf(address: ReturnType<Server["address"]>): number {
  if (typeof address !== "object" || address === null) throw new Error("not a port");
  return address.port;
}

describe("without an answer", () => {
  test("a port that nobody listens on is refused, and a name that nobody has is unknown", async () => {
    const refused = look({ host: "127.0.0.1", port: await freePort() });
    await expect(refused).rejects.toMatchObject({ code: "CONNECTION_REFUSED" });
    await expect(look({ host: "nobody.invalid", port: 22 })).rejects.toMatchObject({ code: "HOST_UNKNOWN" });
  });

  test.each([
    ["a server that says nothing takes no more than its time", "", "TIMED_OUT"],
    [
      "a server that speaks another language is told apart",
      "220 mail.example\r\nwelcome\r\n".repeat(2000),
      "TARGET_FAILED",
    ],
  ])("%s", async (_, words, code) => {
    const server = createServer((socket) => socket.on("error", () => undefined).write(words)).listen(0, "127.0.0.1");
    onTestFinished(() => {
      server.close();
    });
    await once(server, "listening");
    const source = { host: "127.0.0.1", port: portOf(server.address()), hostKey: null, knownHosts: null };
    await expect(shownHostKey(source, 300)).rejects.toMatchObject({ code });
  });
});

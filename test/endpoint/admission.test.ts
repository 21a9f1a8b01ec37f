/** Who gets in, and with which key the endpoint is known. */

import { once } from "node:events";
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { pino } from "pino";
import ssh2 from "ssh2";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { startEndpoint } from "../../src/endpoint/endpoint.ts";
import { newPrivateKey } from "../../src/endpoint/host-key.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { fingerprint, generateKey } from "../transport/ssh-server.ts";
import { openSftp, runEndpoint } from "./running-endpoint.ts";

describe("a login", () => {
  test.each(["ed25519", "rsa", "ecdsa"] as const)(
    "with a listed %s key is accepted, by any user name",
    async (type) => {
      const keys = temporaryDirectory();
      generateKey(join(keys, "id"), { type });
      const authorizedKeysFile = join(keys, "id.pub");
      const endpoint = await runEndpoint({ listen: listen({ authorizedKeysFile }) });
      await openSftp(await endpoint.connect({ username: "anybody", privateKey: readFileSync(join(keys, "id")) }));
    },
  );

  test("with another key, with a password or with nothing is refused", async () => {
    const endpoint = await runEndpoint();
    generateKey(join(endpoint.root, "other"));
    const other = { privateKey: readFileSync(join(endpoint.root, "other")) };
    await expect(endpoint.connect(other)).rejects.toThrow(/authentication/);
    await expect(endpoint.connect({ privateKey: "", password: "mirror" })).rejects.toThrow(/authentication/);
    await expect(endpoint.connect({ authHandler: ["none"] })).rejects.toThrow(/authentication/);
  });

  test("ends with the removal of the key from the file", async () => {
    const keys = temporaryDirectory();
    generateKey(join(keys, "id"));
    const authorizedKeysFile = join(keys, "authorized");
    writeFileSync(authorizedKeysFile, `# members\n\n${readFileSync(join(keys, "id.pub"), "utf8")}`);
    const endpoint = await runEndpoint({ listen: listen({ authorizedKeysFile }) });
    const privateKey = readFileSync(join(keys, "id"));
    await endpoint.connect({ privateKey });
    writeFileSync(authorizedKeysFile, "# nobody\n");
    await expect(endpoint.connect({ privateKey })).rejects.toThrow(/authentication/);
  });
});

describe("a stranger", () => {
  async function stranger(port: number): Promise<Socket> {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("error", () => undefined);
    onTestFinished(() => {
      socket.destroy();
    });
    await once(socket, "connect");
    return socket;
  }

  test("who says nothing is sent away after the time for logging in", async () => {
    const endpoint = await runEndpoint({ limits: { loginMs: 200 } });
    const socket = await stranger(endpoint.port);
    await once(socket.resume(), "close");
    await endpoint.connect();
  });

  test("finds no place when too many are there, until one of them goes", async () => {
    const endpoint = await runEndpoint({ limits: { strangers: 2 } });
    const [first] = [await stranger(endpoint.port), await stranger(endpoint.port)];
    const third = await stranger(endpoint.port);
    await once(third.resume(), "close");
    first?.destroy();
    await vi.waitFor(() => endpoint.connect(), { timeout: 5_000 });
  });

  test("who comes too often is turned away", async () => {
    const endpoint = await runEndpoint({ limits: { connectionsPerMinute: 2 } });
    await endpoint.connect();
    await endpoint.connect();
    await expect(endpoint.connect()).rejects.toThrow();
  });

  test("who sends what is no SSH does no harm", async () => {
    const endpoint = await runEndpoint();
    for (const text of ["GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n\0\0\0\0\0\0\0", "\0".repeat(100_000)]) {
      const socket = await stranger(endpoint.port);
      socket.end(text);
      await once(socket.resume(), "close");
    }
    await endpoint.connect();
  });
});

describe("the host key", () => {
  test("can be used whichever key is made", () => {
    for (let i = 0; i < 2000; i++) expect(ssh2.utils.parseKey(newPrivateKey())).not.toBeInstanceOf(Error);
  });

  test("is made at the first start, for its owner alone, and stays the same", async () => {
    const first = await runEndpoint();
    const key = join(first.root, "ssh_host_ed25519_key");
    expect(statSync(key).mode & 0o777).toBe(0o600);
    expect(first.fingerprint).toBe(fingerprint(key));
    expect(readdirSync(first.root).filter((name) => name.endsWith(".part"))).toEqual([]);
    await first.close();
    expect((await runEndpoint({ state: first.root })).fingerprint).toBe(first.fingerprint);
  });

  test.each(["ed25519", "rsa", "ecdsa"] as const)("may be an %s key of the operator's", async (type) => {
    const hostKey = join(temporaryDirectory(), "key");
    generateKey(hostKey, { type });
    const endpoint = await runEndpoint({ listen: listen({ hostKey, authorizedKeysFile: `${hostKey}.pub` }) });
    expect(endpoint.fingerprint).toBe(fingerprint(hostKey));
    await endpoint.connect({ privateKey: readFileSync(hostKey) });
  });

  test("is refused when others may read it, when it is none, and when it is not there", async () => {
    const root = temporaryDirectory();
    const hostKey = join(root, "key");
    generateKey(hostKey);
    const start = (path: string) => startEndpoint({ ...base(root), listen: listen({ hostKey: path }) });
    chmodSync(hostKey, 0o640);
    await expect(start(hostKey)).rejects.toMatchObject({
      code: "LISTEN_HOST_KEY",
      hint: expect.stringMatching(/chmod/),
    });
    chmodSync(`${hostKey}.pub`, 0o600);
    await expect(start(`${hostKey}.pub`)).rejects.toMatchObject({ code: "LISTEN_HOST_KEY" });
    await expect(start(join(root, "none"))).rejects.toMatchObject({ code: "LISTEN_HOST_KEY" });
  });
});

describe("an endpoint that cannot start says why", () => {
  test("when the port is taken", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      server.close();
    });
    const address = server.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    const started = startEndpoint({ ...base(temporaryDirectory()), listen: { ...listen({}), port } });
    await expect(started).rejects.toMatchObject({ code: "LISTEN_FAILED", hint: expect.stringMatching(/port/) });
  });

  test.each([
    'from="10.0.0.0/8" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGTnQVWGqWqJ8GkXK0M2bRM3B8m7OjdG6pIxNLHYVTTe',
    "ssh-ed25519 AAAA",
    "nonsense",
  ])("when a key is %j", async (line) => {
    const started = startEndpoint({ ...base(temporaryDirectory()), listen: listen({ authorizedKeys: [line] }) });
    await expect(started).rejects.toMatchObject({
      code: "AUTHORIZED_KEYS_INVALID",
      message: expect.stringMatching(/entry 1/),
    });
  });

  test("when the file of keys is not there", async () => {
    const started = startEndpoint({
      ...base(temporaryDirectory()),
      listen: listen({ authorizedKeysFile: "/nothing" }),
    });
    await expect(started).rejects.toMatchObject({ code: "AUTHORIZED_KEYS_INVALID", path: "/nothing" });
  });
});

test("closing ends every connection, also of clients that do not answer", async () => {
  const endpoint = await runEndpoint();
  const client = await endpoint.connect();
  const gone = once(client, "close");
  const silent = connect({ host: "127.0.0.1", port: endpoint.port, allowHalfOpen: true });
  onTestFinished(() => {
    silent.destroy();
  });
  await once(silent, "connect");
  silent.on("error", () => undefined);
  await endpoint.close();
  await gone;
  await expect(endpoint.connect()).rejects.toThrow();
});

function listen(changes: { hostKey?: string; authorizedKeys?: string[]; authorizedKeysFile?: string }) {
  const none = { address: "127.0.0.1", port: 0, hostKey: null, authorizedKeys: [], authorizedKeysFile: null };
  return { ...none, ...changes };
}

function base(root: string) {
  return { directory: root, mountedAt: "/", state: root, logger: pino({ level: "silent" }) };
}

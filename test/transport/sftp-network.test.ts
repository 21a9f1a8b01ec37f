/** Connections that do not come about, break, or fall silent. */

import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { cutAtRandomPoints, filesIn } from "./sftp-cut-scenario.ts";
import { freePort, kill, startSshServer } from "./ssh-server.ts";
import { TcpProxy } from "./tcp-proxy.ts";

const MIB = 1024 * 1024;
/** Short enough for a test, and long for a loopback connection. */
const SHORT = { connectTimeoutMs: 1_000, deadlineMs: 400 };

async function throughProxy(times = {}) {
  const server = await startSshServer();
  const proxy = await TcpProxy.start(server.mailbox.port);
  const transport = server.open({ port: proxy.port }, times);
  return { server, proxy, transport };
}

function localFile(bytes: number): string {
  const path = join(temporaryDirectory(), "local.ltx");
  const contents = Buffer.alloc(bytes);
  for (let i = 0; i + 4 <= bytes; i += 64) contents.writeUInt32LE(i, i);
  writeFileSync(path, contents);
  return path;
}

describe("a connection that does not come about", () => {
  test("because nobody listens", async () => {
    const server = await startSshServer();
    await expect(server.open({ port: await freePort() }).list("")).rejects.toMatchObject({
      code: "CONNECTION_REFUSED",
    });
  });

  test("because there is no machine of that name", async () => {
    const server = await startSshServer();
    const transport = server.open({ host: "no-such-host.invalid" });
    await expect(transport.list("")).rejects.toMatchObject({ code: "HOST_UNKNOWN", hint: expect.any(String) });
  });

  test("because nobody answers", async () => {
    const { proxy, transport } = await throughProxy({ connectTimeoutMs: 300 });
    proxy.silence();
    await expect(transport.list("")).rejects.toMatchObject({ code: "TIMED_OUT" });
    proxy.heal();
    expect(await transport.list("")).toEqual([]);
  });

  test("keeps nobody waiting who closes the transport meanwhile", async () => {
    const { proxy, transport } = await throughProxy({ connectTimeoutMs: 600_000 });
    proxy.silence();
    const refused = expect(transport.list("")).rejects.toMatchObject({ code: expect.any(String) });
    await vi.waitUntil(() => proxy.open === 1);
    await transport.close();
    proxy.cut();
    await refused;
  });

  test("is ended once it is there when the transport was closed meanwhile", async () => {
    const { proxy, transport } = await throughProxy();
    const listing = transport.list("");
    await Promise.all([expect(listing).rejects.toMatchObject({ code: "CLOSED" }), transport.close()]);
    await vi.waitUntil(() => proxy.open === 0);
  });

  test("because the other side ends it, or is no SSH server", async () => {
    const server = await startSshServer();
    const answers = ["", "HTTP/1.1 400 Bad Request\r\n\r\n"];
    for (const answer of answers) {
      const impostor = createServer((socket) => socket.on("error", () => undefined).end(answer)).listen(0, "127.0.0.1");
      await once(impostor, "listening");
      onTestFinished(() => {
        impostor.close();
      });
      const address = impostor.address();
      const port = typeof address === "object" ? (address?.port ?? 0) : 0;
      await expect(server.open({ port }).list("")).rejects.toMatchObject({
        code: expect.stringMatching(/^(CONNECTION_LOST|TARGET_FAILED)$/),
      });
    }
  });
});

describe("a connection", () => {
  test("is shared by all calls, and made anew once after its loss", async () => {
    const { proxy, transport } = await throughProxy();
    const calls = () => Promise.all(Array.from({ length: 20 }, () => transport.read("status.json", { maxBytes: 10 })));
    await calls();
    expect(proxy.accepted).toBe(1);
    const waiting = calls();
    proxy.cut();
    await expect(waiting).rejects.toMatchObject({ code: "CONNECTION_LOST" });
    await calls();
    expect(proxy.accepted).toBe(2);
  });

  test("that falls silent in the middle of a file is given up, and the next call makes another", async () => {
    const { server, proxy, transport } = await throughProxy(SHORT);
    const path = localFile(8 * MIB);
    await transport.list("");
    const put = transport.put(path, "inbox/a.ltx");
    await Promise.all([
      expect(put).rejects.toMatchObject({ code: "TIMED_OUT" }),
      vi.waitUntil(() => proxy.sentBytes > MIB, { interval: 1 }).then(() => proxy.silence()),
    ]);
    await expect(transport.list("inbox")).rejects.toMatchObject({ code: "TIMED_OUT" });
    proxy.heal();
    expect(await transport.put(path, "inbox/a.ltx")).toBe("stored");
    expect(readFileSync(join(server.directory, "inbox/a.ltx")).equals(readFileSync(path))).toBe(true);
  });

  test("that falls silent is noticed by its keep-alives long before the deadline", async () => {
    const { proxy, transport } = await throughProxy({ deadlineMs: 600_000, keepAliveMs: 50 });
    await transport.list("");
    proxy.silence();
    await expect(transport.list("")).rejects.toMatchObject({ code: "TIMED_OUT" });
    proxy.heal();
    expect(await transport.list("")).toEqual([]);
  });

  test("can be given up by an abort, however silent the server is", async () => {
    const { proxy, transport } = await throughProxy();
    const path = localFile(8 * MIB);
    await transport.list("");
    const abort = new AbortController();
    const reason = new Error("stop");
    const put = transport.put(path, "inbox/a.ltx", { signal: abort.signal });
    await Promise.all([
      expect(put).rejects.toBe(reason),
      vi
        .waitUntil(() => proxy.sentBytes > MIB, { interval: 1 })
        .then(() => {
          proxy.silence();
          abort.abort(reason);
        }),
    ]);
  });

  test("that is silent can be closed", async () => {
    const { proxy, transport } = await throughProxy();
    await transport.list("");
    proxy.silence();
    const waiting = transport.list("");
    await Promise.all([transport.close(), expect(waiting).rejects.toMatchObject({ code: "CLOSED" })]);
  });
});

describe("a server that is stopped", () => {
  test("for less than the deadline delays a put", async () => {
    const server = await startSshServer();
    const transport = server.open();
    const path = localFile(32 * MIB);
    await transport.list("");
    const pids = server.sessionPids();
    expect(pids.length).toBeGreaterThan(0);
    const put = transport.put(path, "inbox/a.ltx");
    await vi.waitUntil(() => partBytes(server.directory) > 0, { interval: 1 });
    for (const pid of pids) kill(pid, "SIGSTOP");
    const waited = await Promise.race([put, new Promise((resolve) => setTimeout(() => resolve("waits"), 300))]);
    for (const pid of pids) kill(pid, "SIGCONT");
    expect(waited).toBe("waits");
    expect(await put).toBe("stored");
    expect(readFileSync(join(server.directory, "inbox/a.ltx")).equals(readFileSync(path))).toBe(true);
  });

  test("for longer is given up, and works again when it goes on", async () => {
    const server = await startSshServer();
    const transport = server.open({}, SHORT);
    await transport.list("");
    const pids = server.sessionPids();
    for (const pid of pids) kill(pid, "SIGSTOP");
    await expect(transport.list("")).rejects.toMatchObject({ code: "TIMED_OUT" });
    for (const pid of pids) kill(pid, "SIGCONT");
    expect(await transport.list("")).toEqual([]);
  });
});

describe("a cut", () => {
  test("at any point leaves no half file, and the next put succeeds", async () => {
    await cutAtRandomPoints(5);
  });

  test("of a large file costs no more than what was not acknowledged", async () => {
    const { server, proxy, transport } = await throughProxy();
    const path = localFile(64 * MIB);
    await transport.list("");
    proxy.cutAfter(56 * MIB);
    await expect(transport.put(path, "inbox/a.ltx")).rejects.toMatchObject({ code: "CONNECTION_LOST" });
    const before = proxy.sentBytes;
    // Another process would go on as well: nothing but the file's name and contents is needed.
    expect(await server.open({ port: proxy.port }).put(path, "inbox/a.ltx")).toBe("stored");
    expect(proxy.sentBytes - before).toBeLessThan(40 * MIB);
    expect(readFileSync(join(server.directory, "inbox/a.ltx")).equals(readFileSync(path))).toBe(true);
  });

  test("is not gone on from when the server's part is not what was sent", async () => {
    const { server, proxy, transport } = await throughProxy();
    const path = localFile(64 * MIB);
    await transport.list("");
    proxy.cutAfter(56 * MIB);
    await expect(transport.put(path, "inbox/a.ltx")).rejects.toMatchObject({ code: "CONNECTION_LOST" });
    const [part] = partFiles(server.directory);
    if (part === undefined) throw new Error("no part");
    writeFileSync(part, Buffer.alloc(statSync(part).size, 1));
    expect(await transport.put(path, "inbox/a.ltx")).toBe("stored");
    expect(readFileSync(join(server.directory, "inbox/a.ltx")).equals(readFileSync(path))).toBe(true);
  });

  test("after the file got its name, before anybody heard of it, makes the next put find it present", async () => {
    const { server, proxy, transport } = await throughProxy();
    const path = localFile(1000);
    await transport.list("");
    proxy.delayAnswers(50);
    const put = transport.put(path, "inbox/a.ltx");
    await Promise.all([
      expect(put).rejects.toMatchObject({ code: "CONNECTION_LOST" }),
      vi
        .waitUntil(() => existsSync(join(server.directory, "inbox/a.ltx")), { interval: 1, timeout: 10_000 })
        .then(() => proxy.cut()),
    ]);
    proxy.delayAnswers(0);
    expect(await transport.put(path, "inbox/a.ltx")).toBe("present");
  });
});

function partFiles(directory: string): string[] {
  return filesIn(join(directory, "inbox")).filter((path) => path.endsWith(".part"));
}

function partBytes(directory: string): number {
  return partFiles(directory).reduce((sum, path) => sum + statSync(path).size, 0);
}

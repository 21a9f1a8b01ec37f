import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { notifySocket } from "../../src/overseer/notify-socket.ts";
import { startAfterimage } from "../cli/afterimage.ts";
import { Pair } from "../cli/pair.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const RECEIVER = fileURLToPath(new URL("notify-receiver.py", import.meta.url));

interface Received {
  readonly pid: number;
  readonly lines: readonly string[];
}

/** A service manager's end of the socket. */
async function listen(address: string) {
  const child = spawn("python3", [RECEIVER, address], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const received: Received[] = [];
  const waiting = new Set<() => void>();
  const lines = createInterface(child.stdout);
  await once(lines, "line");
  lines.on("line", (line) => {
    received.push(JSON.parse(line));
    for (const look of waiting) look();
  });
  /** Resolves with the first datagram after the first `from` that holds the assignment. */
  const until = async (assignment: string, from = 0): Promise<number> => {
    for (;;) {
      const at = received.findIndex(({ lines }, i) => i >= from && lines.some((line) => line.startsWith(assignment)));
      if (at !== -1) return at;
      await new Promise<void>((resolve) => waiting.add(resolve));
    }
  };
  return { received, until };
}

test.each([
  ["a path", () => join(temporaryDirectory(), "notify")],
  ["the abstract namespace", () => `@afterimage-test-${randomUUID()}`],
])("a datagram reaches a socket of %s", async (_what, makeAddress) => {
  const address = makeAddress();
  const { received, until } = await listen(address);
  const send = notifySocket(address);
  send("READY=1\nSTATUS=Olá", "wait");
  send("WATCHDOG=1", "leave-out");
  await until("WATCHDOG=1");
  expect(received).toEqual([
    { pid: process.pid, lines: ["READY=1", "STATUS=Olá"] },
    { pid: process.pid, lines: ["WATCHDOG=1"] },
  ]);
});

test("a socket that nobody listens on is an error, and so is an address that is none", () => {
  const send = notifySocket(join(temporaryDirectory(), "nobody"));
  expect(() => send("READY=1", "wait")).toThrow("errno 2");
  expect(() => notifySocket("vsock:2:1234")).toThrow("is no address of a local socket");
  expect(() => notifySocket(`/${"x".repeat(108)}`)).toThrow("too long");
});

test("a daemon says when it is ready, that it lives, that it reloads, and that it ends", async () => {
  const pair = new Pair();
  const address = join(pair.set.root, "notify");
  const { received, until } = await listen(address);
  const { child, ended } = startAfterimage(["run", "--config", pair.set.configPath, "--node", "lisbon"], {
    cwd: pair.set.root,
    environment: { NOTIFY_SOCKET: address, WATCHDOG_USEC: "4000000" },
  });
  const ready = await until("READY=1");
  expect((await pair.json("lisbon", "rotate")).rotated).toHaveLength(1);
  await until("STATUS=operational, epoch 1, 1 database");
  const sign = await until("WATCHDOG=1");
  await until("WATCHDOG=1", sign + 1);

  child.kill("SIGHUP");
  const reloading = await until("RELOADING=1", ready);
  const readyAgain = await until("READY=1", reloading);
  expect(received[reloading]?.lines[1]).toMatch(/^MONOTONIC_USEC=[1-9][0-9]+$/);

  child.kill("SIGTERM");
  expect(await ended).toMatchObject({ code: 0 });
  expect(await until("STOPPING=1", readyAgain)).toBeGreaterThan(readyAgain);
  expect(new Set(received.map(({ pid }) => pid))).toEqual(new Set([child.pid]));
});

/** A real HAProxy with `config/haproxy.cfg`, before services of three members: where it sends writes and reads when roles change. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { freePorts } from "../../src/demo/free-ports.ts";
import { ManagedProcess } from "../../src/demo/managed-process.ts";
import { afterimage } from "../cli/afterimage.ts";
import { createSet, killDaemon, MIRROR, OPERATIONAL, PAIR, startAll, untilSet } from "../support/mirror-set.ts";
import { configure } from "../support/tenants.ts";

const HAPROXY = "/usr/sbin/haproxy";
const EXAMPLE = fileURLToPath(new URL("../../config/haproxy.cfg", import.meta.url));
const SERVICE = fileURLToPath(new URL("../support/database-service-process.ts", import.meta.url));
const OTHER = "faro";
const MEMBERS = [...PAIR, { member: OTHER, follows: OPERATIONAL }];
const WRITE_INTERVAL_MS = 20;

interface Proxy {
  readonly writes: number;
  readonly reads: number;
}

function startChild(set: DemoSet, name: string, command: string, args: readonly string[]): void {
  const child = ManagedProcess.start(name, command, args, join(set.root, `${name}.log`));
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
}

/** The example, with the ports and addresses of this machine. */
function exampleFor(proxy: Proxy, ports: ReadonlyMap<string, readonly [service: number, http: number]>): string {
  const lines = readFileSync(EXAMPLE, "utf8").split("\n");
  return lines
    .flatMap((line) => {
      if (!line.startsWith("    server ")) return [line];
      // One for each member of the set, in place of the two of the example.
      if (!line.startsWith("    server lisbon")) return [];
      return [...ports].map(([member, [service, http]]) => `    server ${member} 127.0.0.1:${service} port ${http}`);
    })
    .join("\n")
    .replace("bind :8080", `bind 127.0.0.1:${proxy.writes}`)
    .replace("bind :8081", `bind 127.0.0.1:${proxy.reads}`);
}

/** Three members with their services, and the proxy before them. */
async function startBehindProxy(): Promise<{ set: DemoSet; proxy: Proxy }> {
  if (!existsSync(HAPROXY)) throw new Error("no HAProxy here: install the Debian package haproxy");
  const set = createSet(MEMBERS);
  const [writes = 0, reads = 0, ...rest] = await freePorts(2 + 2 * MEMBERS.length);
  const ports = new Map(
    MEMBERS.map(({ member }, i) => [member, [rest[2 * i] ?? 0, rest[2 * i + 1] ?? 0] as const] as const),
  );
  configure(set, ({ members }) => {
    for (const [member, [, http]] of ports) members[member].http = { port: http };
  });
  const database = new Database(set.databasePath(OPERATIONAL));
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE note (key TEXT PRIMARY KEY, member TEXT)");
  database.close();
  await startAll(set);
  for (const [member, [service]] of ports)
    startChild(set, `service-${member}`, process.execPath, [
      SERVICE,
      member,
      String(service),
      set.databasePath(member),
    ]);
  const configuration = join(set.root, "haproxy.cfg");
  const proxy = { writes, reads };
  writeFileSync(configuration, exampleFor(proxy, ports));
  startChild(set, "haproxy", HAPROXY, ["-db", "-f", configuration]);
  return { set, proxy };
}

/** What came through the proxy; empty when nobody answered. */
async function ask(port: number, line: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  try {
    socket.write(`${line}\n`);
    return (await text(socket)).trim();
  } catch {
    return "";
  } finally {
    socket.destroy();
  }
}

/** A client that writes one row after the other through the proxy, whoever answers. */
class Client {
  /** Keys whose rows were acknowledged, in order, and by which member. */
  readonly written: { readonly key: string; readonly member: string }[] = [];
  /** What was said instead, or that nobody answered: for a while both are right when the role passes on. */
  readonly refused = new Set<string>();
  readonly #port: number;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  constructor({ writes }: Proxy) {
    this.#port = writes;
    this.#ended = this.#run(this.#stop.signal);
    onTestFinished(() => this.stop());
  }

  /** Members in the order in which writes reached them, each once as long as it stays the same. */
  get order(): string[] {
    return this.written.map(({ member }) => member).filter((member, i, all) => member !== all[i - 1]);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(stop: AbortSignal): Promise<void> {
    for (let i = 0; !stop.aborted; i++) {
      const key = `k${i}`;
      const [member = "", result] = (await ask(this.#port, `write ${key}`)).split(" ");
      if (result === "written") this.written.push({ key, member });
      else this.refused.add(result ?? "nobody answered");
      await delay(WRITE_INTERVAL_MS, undefined, { signal: stop }).catch(() => undefined);
    }
  }
}

async function untilWrittenBy(set: DemoSet, client: Client, member: string): Promise<void> {
  const before = client.written.length;
  await untilSet(set, `writes reach ${member}`, () => {
    const fresh = client.written.slice(before);
    return fresh.filter((each) => each.member === member).length >= 20;
  });
}

async function untilReadFrom(set: DemoSet, proxy: Proxy, members: readonly string[]): Promise<void> {
  const readers = async () => {
    const answers = await Promise.all(members.map(() => ask(proxy.reads, "read")));
    return answers.map((answer) => answer.replace(/ read \d+$/, ""));
  };
  const wanted = [...members].sort().join();
  await untilSet(set, `reads reach ${wanted}`, async () => (await readers()).sort().join() === wanted);
}

function expectFenceOnly({ refused }: Client): void {
  const expected = ["nobody answered", "SQLITE_READONLY", "SQLITE_BUSY"];
  expect([...refused].filter((answer) => !expected.includes(answer))).toEqual([]);
}

function keysOf(set: DemoSet, member: string): Set<unknown> {
  const database = new Database(set.databasePath(member), { readonly: true });
  try {
    return new Set(database.prepare("SELECT key FROM note").pluck().all());
  } finally {
    database.close();
  }
}

test("HAProxy takes the example as it is", () => {
  expect(
    execFileSync(HAPROXY, ["-c", "-f", EXAMPLE], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }),
  ).toMatch(/Configuration file is valid/);
});

test("writes reach the operational member before, during and after a switchover, and none is lost", async () => {
  const { set, proxy } = await startBehindProxy();
  const client = new Client(proxy);
  await untilWrittenBy(set, client, OPERATIONAL);
  await untilReadFrom(set, proxy, [MIRROR, OTHER]);

  const done = await afterimage(["switchover", "--to", MIRROR, "--node", OPERATIONAL, "--config", set.configPath], {
    cwd: set.root,
  });
  expect([done.code, done.stderr]).toMatchObject([0, expect.anything()]);
  await untilWrittenBy(set, client, MIRROR);
  await untilReadFrom(set, proxy, [OPERATIONAL, OTHER]);
  const back = await afterimage(["switchover", "--to", OPERATIONAL, "--node", MIRROR, "--config", set.configPath], {
    cwd: set.root,
  });
  expect([back.code, back.stderr]).toMatchObject([0, expect.anything()]);
  await untilWrittenBy(set, client, OPERATIONAL);
  await client.stop();

  expect(client.order).toEqual([OPERATIONAL, MIRROR, OPERATIONAL]);
  expectFenceOnly(client);
  const keys = keysOf(set, OPERATIONAL);
  expect(client.written.filter(({ key }) => !keys.has(key))).toEqual([]);
});

test("writes reach the promoted member when the operational daemon was killed, and do not return to the former one", async () => {
  const { set, proxy } = await startBehindProxy();
  const client = new Client(proxy);
  await untilWrittenBy(set, client, OPERATIONAL);
  const former = set.daemon(OPERATIONAL);
  if (former === null) throw new Error("no daemon");
  await killDaemon(former);
  const promoted = await afterimage(["promote", "--node", MIRROR, "--config", set.configPath], { cwd: set.root });
  expect([promoted.code, promoted.stderr]).toMatchObject([0, expect.anything()]);
  set.startDaemon(OPERATIONAL);
  await untilWrittenBy(set, client, MIRROR);
  await untilSet(set, "the former member is fenced", () => set.status(OPERATIONAL)?.state === "fenced");
  await untilWrittenBy(set, client, MIRROR);
  await untilReadFrom(set, proxy, [OTHER]);
  await client.stop();

  expect(client.order).toEqual([OPERATIONAL, MIRROR]);
  expectFenceOnly(client);
  const byPromoted = client.written.filter(({ member }) => member === MIRROR);
  const keys = keysOf(set, MIRROR);
  expect(byPromoted.filter(({ key }) => !keys.has(key))).toEqual([]);
});

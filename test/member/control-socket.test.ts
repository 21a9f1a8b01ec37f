import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { connectControl } from "../../src/member/control-client.ts";
import { startControlServer } from "../../src/member/control-server.ts";
import type { DemoteOptions } from "../../src/member/demotion.ts";
import type { SyncOptions } from "../../src/member/journal-results.ts";
import type {
  DrillOutcome,
  IntegrateOptions,
  MemberControl,
  NotedWork,
  PromoteOptions,
  PurgeOptions,
  RebuildOptions,
  RejoinOptions,
  SeedOptions,
  SegmentFilter,
  ShipOptions,
  SwitchoverOptions,
} from "../../src/member/member-control.ts";
import { MemberError } from "../../src/member/member-error.ts";
import type { StepListener } from "../../src/member/runbook-steps.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const POSITION = "1:0000000000000002:8000000000000000";

const TXID = "000000000000002a";
const TIME = "2026-03-01T12:00:00.000Z";
const HOLD = { by: "until", message: "until then" } as const;

/** A member that answers with what it was asked. */
class EchoMember implements MemberControl {
  readonly asked: unknown[] = [];
  /** What `rotate` waits for. */
  gate: Promise<void> = Promise.resolve();

  async status() {
    return { mirror: "clinic", answeredBy: "lisbon", members: [] };
  }

  async rotate(databases?: readonly string[]) {
    this.asked.push(databases);
    await this.gate;
    return [{ database: "shop", segments: ["a.ltx"], position: POSITION }];
  }

  async reload() {
    return { changed: ["journal.rotate"] };
  }

  async integrate(databases?: readonly string[], options?: IntegrateOptions) {
    this.asked.push(options);
    return (databases ?? ["all"]).map((database) => ({ database, transactions: 3, position: null, hold: HOLD }));
  }

  async pause(databases?: readonly string[]) {
    return (databases ?? ["all"]).map((database) => ({ database, paused: true, until: null, position: POSITION }));
  }

  async resume(databases?: readonly string[], { until = null }: { readonly until?: string | null } = {}) {
    return (databases ?? ["all"]).map((database) => ({ database, paused: false, until, position: null }));
  }

  async purge(options: PurgeOptions) {
    this.asked.push(options);
    return [{ database: "shop", removed: ["/j/a.ltx"], removedBytes: 7, bytes: 9 }];
  }

  async fence() {
    return [{ database: "shop", fenced: true, changed: true }];
  }

  async unfence(): Promise<never> {
    throw new MemberError("UNFENCE_REFUSED", "porto is a mirror", { hint: "ask lisbon", path: "/d/shop.db" });
  }

  async verify(): Promise<never> {
    throw new RangeError("something unforeseen");
  }

  async segments(filter: SegmentFilter) {
    this.asked.push(filter);
    return [];
  }

  async snapshot(databases?: readonly string[]) {
    this.asked.push(databases);
    return [{ database: "shop", written: null }];
  }

  async ship(options: ShipOptions) {
    this.asked.push(options);
    const error = { code: "TIMED_OUT", message: "no answer", hint: null };
    return [{ member: "porto", databases: [{ database: "shop", shipped: "2", end: "3" }], error }];
  }

  async rebuild(options: RebuildOptions) {
    this.asked.push(options);
    const bytes = { replay: null, resync: 8, snapshot: 4096 };
    return [{ database: "shop", method: "resync" as const, bytes, pages: 1, error: "MIRROR_INCONSISTENT" }];
  }

  async switchover({ to, dryRun = false }: SwitchoverOptions, onStep?: StepListener) {
    onStep?.({ step: "switchover:checked", message: "nothing is against it" });
    return { from: "lisbon", to, epoch: 2, dryRun, interruptedMs: null, roles: [] };
  }

  async cancelSwitchover(): Promise<never> {
    throw new MemberError("SWITCHOVER_NONE", "lisbon hands over to nobody");
  }

  async promote(options: PromoteOptions, onStep?: StepListener) {
    this.asked.push(options);
    onStep?.({ step: "promote:claimed", message: "the epoch has begun" });
    if (options.force !== "lisbon") throw new MemberError("PROMOTION_ALIVE", "lisbon lives", { hint: "stop it" });
    onStep?.({ step: "promote:served", message: "the databases are writable" });
    const received = { database: "shop", position: null, time: null, ageSeconds: null };
    const roles = [{ member: "porto", role: "operational" as const, state: "operational" as const, epoch: 2 }];
    const done = { dryRun: false, steps: [], losses: [] };
    return {
      member: "porto",
      epoch: 2,
      from: "lisbon",
      ...done,
      databases: [received],
      collected: [],
      untold: ["faro"],
      roles,
    };
  }

  async rejoin(options: RejoinOptions, onStep?: StepListener) {
    this.asked.push(options);
    onStep?.({ step: "rejoin:kept", message: "kept" });
    const [database, directory] = ["shop", "/state/diverged/shop/1-2-3"];
    const one = { database, transactions: 2, lost: "1:3:c", fork: null, directory, state: "rejoined" as const };
    return { member: "porto", epoch: 2, operational: "lisbon", databases: [one], roles: [] };
  }

  async demote({ dryRun = false }: DemoteOptions, onStep?: StepListener) {
    onStep?.({ step: "demote:begun", message: "the role is given up" });
    const followers = [{ member: "porto", reachable: true, lacks: { shop: 0, books: null } }];
    const databases = [{ database: "shop", end: POSITION }];
    return { member: "lisbon", epoch: 1, dryRun, steps: ["fence"], databases, followers, roles: [] };
  }

  async validate(member: string) {
    const check = { check: "role of porto", level: "OK" as const, message: "a mirror that follows", hint: null };
    const loss = { database: "shop", received: null, time: null, ageSeconds: null, transactions: 2, seconds: null };
    const losses = [{ ...loss, ahead: [{ member: "faro", transactions: 1 }] }];
    const promotion = { ready: "operational running" as const, checks: [], losses };
    return { member, operational: "lisbon", ready: true, switchover: { ready: true, checks: [check] }, promotion };
  }

  async noteWork(work: NotedWork) {
    this.asked.push(work);
  }

  async noteDrill(outcome: DrillOutcome) {
    this.asked.push(outcome);
  }

  async seed({ database, file }: SeedOptions) {
    return { database, path: file };
  }

  async sync(options: SyncOptions) {
    this.asked.push(options);
    return [{ member: "porto", database: "shop", integrated: null }];
  }
}

async function serve(control: MemberControl = new EchoMember()) {
  const path = join(temporaryDirectory(), "control.sock");
  const server = await startControlServer(path, control);
  onTestFinished(() => server.close());
  return { path, server };
}

async function client(path: string): Promise<MemberControl> {
  const connected = await connectControl(path);
  if (connected === null) throw new Error("nobody listens");
  return connected;
}

test("answers arrive as they were given, and arguments as they were asked", async () => {
  const member = new EchoMember();
  const { path } = await serve(member);
  const control = await client(path);
  expect(await control.status()).toEqual({ mirror: "clinic", answeredBy: "lisbon", members: [] });
  expect(await control.rotate()).toEqual([{ database: "shop", segments: ["a.ltx"], position: POSITION }]);
  await control.rotate(["shop", "b c"]);
  expect(await control.integrate(["x"])).toEqual([{ database: "x", transactions: 3, position: null, hold: HOLD }]);
  expect(await control.integrate(undefined, { now: true, until: TXID })).toMatchObject([{ database: "all" }]);
  expect(await control.pause(["x"])).toMatchObject([{ database: "x", paused: true, position: POSITION }]);
  expect(await control.resume(["x"], { until: TIME })).toMatchObject([{ database: "x", paused: false, until: TIME }]);
  expect(await control.resume()).toMatchObject([{ database: "all", until: null }]);
  expect(await control.fence()).toEqual([{ database: "shop", fenced: true, changed: true }]);
  expect(await control.segments({ database: "shop", limit: 5 })).toEqual([]);
  await control.segments({});
  expect(await control.purge({ dryRun: true })).toMatchObject([{ removed: ["/j/a.ltx"], removedBytes: 7, bytes: 9 }]);
  expect(await control.snapshot(["shop"])).toEqual([{ database: "shop", written: null }]);
  expect(await control.ship({ members: ["porto"] })).toMatchObject([
    { member: "porto", databases: [{ shipped: "2", end: "3" }], error: { code: "TIMED_OUT" } },
  ]);
  expect(await control.validate("porto")).toMatchObject({
    member: "porto",
    switchover: { checks: [{ check: "role of porto" }] },
    promotion: { ready: "operational running", losses: [{ ahead: [{ member: "faro" }] }] },
  });
  const work = {
    kind: "backup",
    database: "shop",
    pid: 7,
    state: "running",
    step: "copying",
    done: 1,
    total: 2,
    elapsedMs: 3,
  } as const;
  await control.noteWork(work);
  await control.noteDrill({ ok: true, message: "passed", seconds: 1.5 });
  expect(member.asked).toEqual([
    undefined,
    ["shop", "b c"],
    { now: false },
    { now: true, until: TXID },
    { database: "shop", limit: 5 },
    {},
    { dryRun: true },
    ["shop"],
    { members: ["porto"] },
    work,
    { ok: true, message: "passed", seconds: 1.5 },
  ]);
});

test("steps arrive before the result, or before the error", async () => {
  const { path } = await serve();
  const control = await client(path);
  const steps: string[] = [];
  const promoted = await control.promote({ force: "lisbon" }, ({ step }) => steps.push(step));
  expect(promoted).toMatchObject({ epoch: 2, roles: [{ member: "porto", state: "operational" }] });
  expect(steps).toEqual(["promote:claimed", "promote:served"]);
  await expect(control.promote({}, ({ message }) => steps.push(message))).rejects.toMatchObject({
    code: "PROMOTION_ALIVE",
    hint: "stop it",
  });
  expect(steps.slice(2)).toEqual(["the epoch has begun"]);
  expect(await control.demote({ dryRun: true }, ({ step }) => steps.push(step))).toMatchObject({
    dryRun: true,
    followers: [{ lacks: { shop: 0, books: null } }],
  });
  expect(steps.at(-1)).toBe("demote:begun");
});

test("a rejoin is asked for, and answers in steps", async () => {
  const { path } = await serve();
  const steps: string[] = [];
  const rejoined = await (await client(path)).rejoin({ wait: false }, ({ step }) => steps.push(step));
  expect(rejoined).toMatchObject({ operational: "lisbon", databases: [{ transactions: 2, state: "rejoined" }] });
  expect(steps).toEqual(["rejoin:kept"]);
});

test("an answer in steps that breaks off is reported", async () => {
  const path = join(temporaryDirectory(), "control.sock");
  const lines = `${JSON.stringify({ step: { step: "promote:claimed", message: "begun" } })}\n{"res`;
  const answer = `HTTP/1.1 200 OK\r\ncontent-length: ${lines.length}\r\n\r\n${lines}`;
  const other = await listen(path, (server) => server.on("connection", (socket) => answerWith(socket, answer)));
  onTestFinished(() => void other.close());
  await expect((await client(path)).promote({})).rejects.toMatchObject({ code: "CONTROL_LOST", path });
});

test("an error arrives with its code, message, hint and path", async () => {
  const { path } = await serve();
  await expect((await client(path)).unfence()).rejects.toMatchObject({
    code: "UNFENCE_REFUSED",
    message: "porto is a mirror",
    hint: "ask lisbon",
    path: "/d/shop.db",
  });
});

test("an unforeseen error arrives as INTERNAL, and the daemon goes on", async () => {
  const { path } = await serve();
  const control = await client(path);
  await expect(control.verify()).rejects.toMatchObject({ code: "INTERNAL", message: "something unforeseen" });
  expect(await control.status()).toMatchObject({ answeredBy: "lisbon" });
});

test("a request that is not understood is refused", async () => {
  const { path } = await serve();
  const control = await client(path);
  await expect(control.segments({ limit: -1 })).rejects.toMatchObject({ code: "CONTROL_PROTOCOL" });
});

test("the socket is its owner's only", async () => {
  const { path } = await serve();
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("closing waits for calls that are being answered, and removes the socket", async () => {
  const member = new EchoMember();
  let open = () => {};
  member.gate = new Promise((resolve) => {
    open = resolve;
  });
  const { path, server } = await serve(member);
  const answer = (await client(path)).rotate();
  await expect.poll(() => member.asked.length).toBe(1);
  const closed = server.close();
  open();
  expect(await answer).toHaveLength(1);
  await closed;
  expect(existsSync(path)).toBe(false);
  expect(await connectControl(path)).toBeNull();
});

test("a daemon that goes away before it has answered is reported", async () => {
  const path = join(temporaryDirectory(), "control.sock");
  const rude = await listen(path, (server) => server.on("connection", (socket) => socket.destroy()));
  onTestFinished(() => void rude.close());
  const control = await client(path);
  await expect(control.status()).rejects.toMatchObject({ code: "CONTROL_LOST", path });
});

test("a daemon that is stopped is reported when what is asked is quick by nature", async () => {
  const path = join(temporaryDirectory(), "control.sock");
  const listening = `require("net").createServer().listen(process.argv[1], () => console.log("listening"))`;
  const daemon = spawn(process.execPath, ["-e", listening, path], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void daemon.kill("SIGKILL"));
  await once(daemon.stdout, "data");
  daemon.kill("SIGSTOP");
  const control = await connectControl(path, 100);
  const silent = { code: "CONTROL_SILENT", path, hint: expect.stringContaining("kill -CONT") };
  await expect(control?.status()).rejects.toMatchObject(silent);
  await expect(control?.reload()).rejects.toMatchObject(silent);
});

test("an answer of another version is reported", async () => {
  const path = join(temporaryDirectory(), "control.sock");
  const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{"mirror":1}';
  const other = await listen(path, (server) => server.on("connection", (socket) => answerWith(socket, answer)));
  onTestFinished(() => void other.close());
  await expect((await client(path)).status()).rejects.toMatchObject({ code: "CONTROL_PROTOCOL" });
});

test("nobody listens: no socket, a file, a path that no socket can have", async () => {
  const directory = temporaryDirectory();
  expect(await connectControl(join(directory, "none.sock"))).toBeNull();
  writeFileSync(join(directory, "file"), "");
  expect(await connectControl(join(directory, "file"))).toBeNull();
  expect(await connectControl(join(directory, "file", "below"))).toBeNull();
  expect(await connectControl(join(directory, "x".repeat(100)))).toBeNull();
});

test("a second server on a socket that is answered is refused, and the first goes on", async () => {
  const { path } = await serve();
  await expect(startControlServer(path, new EchoMember())).rejects.toMatchObject({ code: "CONTROL_IN_USE", path });
  expect(await (await client(path)).status()).toMatchObject({ answeredBy: "lisbon" });
});

test("what a killed daemon left behind is replaced", async () => {
  const path = join(temporaryDirectory(), "control.sock");
  const listening = `require("net").createServer().listen(process.argv[1], () => console.log("listening"))`;
  const daemon = spawn(process.execPath, ["-e", listening, path], { stdio: ["ignore", "pipe", "inherit"] });
  await once(daemon.stdout, "data");
  daemon.kill("SIGKILL");
  await once(daemon, "exit");
  expect(existsSync(path)).toBe(true);
  const server = await startControlServer(path, new EchoMember());
  onTestFinished(() => server.close());
  expect(await (await client(path)).status()).toMatchObject({ answeredBy: "lisbon" });
});

test("a path that is too long for a socket is refused with what to do", async () => {
  const path = join(temporaryDirectory(), "x".repeat(100));
  await expect(startControlServer(path, new EchoMember())).rejects.toMatchObject({
    code: "CONTROL_PATH_TOO_LONG",
    hint: expect.stringContaining("state"),
  });
});

test("a socket that cannot be made is reported", async () => {
  const path = join(temporaryDirectory(), "missing", "control.sock");
  await expect(startControlServer(path, new EchoMember())).rejects.toMatchObject({ code: "CONTROL_FAILED", path });
});

function answerWith(socket: Socket, answer: string): void {
  // The client may be gone before it was read.
  socket.on("error", () => undefined);
  socket.end(answer);
}

async function listen(path: string, setUp: (server: Server) => void): Promise<Server> {
  const server = createServer();
  setUp(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

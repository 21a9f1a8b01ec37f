/** A member that belongs to an application, which is this test's process, or one that the test kills. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { waitUntil } from "../../src/demo/wait-until.ts";
import {
  type MemberExit,
  type RunningMember,
  type StartOptions,
  startMember,
} from "../../src/embedding/start-member.ts";
import type { MemberEvent } from "../../src/overseer/parent-messages.ts";
import { Pair } from "../cli/pair.ts";
import { startChild } from "../support/child-process.ts";

async function start(pair: Pair, options: Partial<StartOptions> = {}): Promise<RunningMember> {
  const base = { configFile: pair.set.configPath, node: "lisbon", onLog: () => undefined };
  const member = await startMember({ ...base, ...options });
  onTestFinished(() => member.stop());
  return member;
}

async function until(what: string, condition: () => boolean): Promise<void> {
  await waitUntil(condition, { what, stalledAfterMs: 20_000, progress: () => "" });
}

function isAlive(processId: number | null): boolean {
  try {
    return processId !== null && process.kill(processId, 0);
  } catch {
    return false;
  }
}

test("a member rotates, waits for its mirrors, and says what happens", async () => {
  const pair = new Pair();
  const events: MemberEvent[] = [];
  const lines: string[] = [];
  const member = await start(pair, { onEvent: (event) => events.push(event), onLog: (line) => lines.push(line) });
  const porto = pair.start("porto");
  pair.write("INSERT INTO t VALUES (1)");
  const [rotated] = await member.rotate();
  expect(rotated?.segments).toHaveLength(1);
  const [synced] = await member.sync({ members: ["porto"], timeoutMs: 20_000 });
  expect(synced).toMatchObject({ member: "porto", integrated: rotated?.position.split(":")[1] });
  const { answeredBy, members } = await member.status();
  expect([answeredBy, members.map(({ role }) => role)]).toEqual(["lisbon", ["operational", "mirror"]]);
  expect(events[0]).toMatchObject({ level: expect.any(String), code: expect.any(String), database: null });
  expect(lines.map((line) => JSON.parse(line).msg)).toContain("serving");

  const { pid } = member;
  await member.stop();
  expect([isAlive(pid), member.pid]).toEqual([false, null]);
  await expect(member.status()).rejects.toMatchObject({ code: "NOT_RUNNING" });
  await member.stop();
  porto.child.kill("SIGTERM");
  expect(await porto.ended).toMatchObject({ code: 0 });
});

test("a member that is killed is started again, and the application hears of it", async () => {
  const pair = new Pair();
  const exits: MemberExit[] = [];
  const member = await start(pair, { onExit: (exit) => exits.push(exit) });
  const { pid } = member;
  process.kill(pid ?? 0, "SIGKILL");
  await until("its end is told", () => exits.length === 1);
  expect(exits).toEqual([{ code: null, signal: "SIGKILL", error: null, restartInMs: 1_000 }]);
  await until("it runs again", () => member.pid !== null);
  expect(member.pid).not.toBe(pid);
  await expect.poll(() => member.rotate().then(() => "rotated"), { timeout: 20_000 }).toBe("rotated");
});

test("what a daemon fails with at its start is an error of the call", async () => {
  const pair = new Pair();
  const first = await start(pair);
  await expect(start(pair)).rejects.toMatchObject({ name: "DaemonError", code: "LOCK_HELD" });
  await expect(start(pair, { node: "faro" })).rejects.toMatchObject({ code: "MEMBER_UNKNOWN" });
  await expect(start(pair, { configFile: join(pair.set.root, "none.yaml") })).rejects.toMatchObject({
    code: "CONFIG_MISSING",
  });
  expect(isAlive(first.pid)).toBe(true);
});

test("a member ends in order when its application is killed", async () => {
  const pair = new Pair();
  const application = startChild(new URL("embedding-process.ts", import.meta.url), [pair.set.configPath]);
  const pid = Number(await application.line((line) => /^\d+$/.test(line)));
  await application.kill();
  await until("the member has ended", () => !isAlive(pid));
  const status = JSON.parse(readFileSync(join(pair.set.mailboxPath("lisbon"), "status.json"), "utf8"));
  expect(status.state).toBe("down");
});

test("what the application's service manager expects of it is not said by its member", async () => {
  const pair = new Pair();
  process.env.NOTIFY_SOCKET = join(pair.set.root, "notify");
  onTestFinished(() => void delete process.env.NOTIFY_SOCKET);
  const member = await start(pair);
  const environment = readFileSync(`/proc/${member.pid}/environ`, "utf8").split("\0");
  expect(environment.filter((variable) => /^(NOTIFY_SOCKET|WATCHDOG_|NODE_OPTIONS)/.test(variable))).toEqual([]);
  expect(environment.length).toBeGreaterThan(3);
});

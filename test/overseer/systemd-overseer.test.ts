import { expect, test } from "vitest";
import type { WhenFull } from "../../src/overseer/notify-socket.ts";
import { SystemdOverseer, statusText, takeNotifyEnvironment } from "../../src/overseer/systemd-overseer.ts";
import { type MemberStatus, memberStatusSchema } from "../../src/status/member-status.ts";

const status = memberStatusSchema.parse({
  ...{ version: 1, mirror: "clinic", member: "lisbon", role: "operational", type: "failover", state: "operational" },
  ...{ follows: null, epoch: 3, heartbeat: null, reachable: true, databases: {}, followers: {} },
});

function overseer(watchdogUs: number | null) {
  const sent: [string, WhenFull][] = [];
  const faults: string[] = [];
  const clock = { ns: 5_000_000n };
  const told = new SystemdOverseer({
    send: (text, whenFull) => {
      if (faults.length === 0 && text.includes("BROKEN")) throw new Error("sendto: errno 111");
      sent.push([text, whenFull]);
    },
    watchdogUs,
    onFault: (message) => faults.push(message),
    clockNs: () => clock.ns,
  });
  return { told, sent, faults, clock };
}

function withError(code: string): MemberStatus {
  return { ...status, errors: [{ code, message: "m", hint: null, since: "2026-01-01T00:00:00.000Z" }] };
}

test("a change of state is told in words that the manager waits for, a reload with the monotonic clock", () => {
  const { told, sent } = overseer(null);
  told.ready();
  told.reloading();
  told.ready();
  told.stopping();
  expect(sent).toEqual([
    ["READY=1", "wait"],
    ["RELOADING=1\nMONOTONIC_USEC=5000", "wait"],
    ["READY=1", "wait"],
    ["STOPPING=1", "wait"],
  ]);
});

test("heartbeats are signs of life four times within the manager's limit, however many there are", () => {
  const { told, sent, clock } = overseer(8_000_000);
  for (let ms = 0; ms < 8_000; ms += 100) {
    told.heartbeat(status);
    clock.ns += 100_000_000n;
  }
  const signs = sent.filter(([text]) => text.split("\n").includes("WATCHDOG=1"));
  expect(signs).toHaveLength(4);
  expect(signs.every(([, whenFull]) => whenFull === "leave-out")).toBe(true);
});

test("without a watchdog only a status that has changed is told", () => {
  const { told, sent } = overseer(null);
  told.heartbeat(status);
  told.heartbeat(status);
  told.heartbeat(withError("SPOOL_FULL"));
  expect(sent.map(([text]) => text)).toEqual([
    "STATUS=operational, epoch 3, 0 databases",
    "STATUS=operational, epoch 3, 0 databases; SPOOL_FULL",
  ]);
});

test("a manager that cannot be told is no reason to fail, and is reported once", () => {
  const { told, faults } = overseer(1_000_000);
  const send = () => told.heartbeat(withError("BROKEN"));
  expect(send).not.toThrow();
  send();
  expect(faults).toEqual(["sendto: errno 111"]);
});

test("the status names each fault once, also those of databases", () => {
  const database = {
    ...{ operational: null, received: null, integrated: null, lagTransactions: null },
    lagSeconds: null,
  };
  const rest = { paused: false, fenced: true, pageSize: null, pageCount: null, walBytes: null, wants: null };
  const { error } = { error: { code: "NO_SNAPSHOT", message: "m", hint: null, since: "2026-01-01T00:00:00.000Z" } };
  const faulty = memberStatusSchema.parse({
    ...{ ...status, role: "mirror", state: "inconsistent" },
    databases: { a: { ...database, ...rest, error }, b: { ...database, ...rest, error } },
  });
  expect(statusText(faulty)).toBe("mirror, inconsistent, epoch 3, 2 databases; NO_SNAPSHOT");
});

test("what the manager says in the environment is not handed on to children", () => {
  const environment = { NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "60000000", WATCHDOG_PID: "7", HOME: "/" };
  expect(takeNotifyEnvironment(environment, 7)).toEqual({ address: "/run/notify", watchdogUs: 60_000_000 });
  expect(environment).toEqual({ HOME: "/" });
});

test("a watchdog of another process, or none, is not fed", () => {
  const of = (environment: Record<string, string>) => takeNotifyEnvironment(environment, 7)?.watchdogUs;
  expect(of({ NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "1000", WATCHDOG_PID: "8" })).toBeNull();
  expect(of({ NOTIFY_SOCKET: "/n" })).toBeNull();
  expect(of({ NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "soon" })).toBeNull();
  expect(takeNotifyEnvironment({ WATCHDOG_USEC: "1000" }, 7)).toBeNull();
});

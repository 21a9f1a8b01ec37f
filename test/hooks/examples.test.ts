/** The examples under config/hooks, with programs on PATH that only write down what they were told. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const EXAMPLES = fileURLToPath(new URL("../../config/hooks/", import.meta.url));

interface Run {
  readonly status: number | null;
  /** What was called, in order. */
  readonly calls: readonly string[];
  readonly stderr: string;
}

/** @param stubs by name the shell code that a stub runs after it has noted its arguments and, from `read`, its input. */
function run(
  example: string,
  [event, role]: readonly [string, string],
  stubs: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>> = {},
): Run {
  const directory = temporaryDirectory();
  const log = join(directory, "calls");
  for (const [name, body] of Object.entries(stubs)) {
    writeFileSync(join(directory, name), `#!/bin/sh\necho "${name} $*" >> '${log}'\n${body}\n`, { mode: 0o755 });
  }
  const { status, stderr } = spawnSync(join(EXAMPLES, example), [event], {
    env: {
      PATH: `${directory}:/usr/bin:/bin`,
      LOG: log,
      AFTERIMAGE_ROLE: role,
      AFTERIMAGE_MEMBER: "porto",
      ...environment,
    },
    input: "{}\n",
    encoding: "utf8",
  });
  const calls = existsSync(log) ? readFileSync(log, "utf8").trimEnd().split("\n") : [];
  return { status, calls, stderr };
}

test.each(readdirSync(EXAMPLES))("%s is an executable script that sh can parse", (name) => {
  const path = join(EXAMPLES, name);
  accessSync(path, constants.X_OK);
  expect(readFileSync(path, "utf8")).toMatch(/^#!\/bin\/sh\n# [A-Z]/);
  const { status, stderr } = spawnSync("sh", ["-n", path], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

const IP = {
  ip: 'case "$*" in *show*) echo "2: eth0    inet 192.0.2.10/24 scope global eth0";; esac',
  arping: "exit 0",
};
const TAKEN = ["ip addr replace 192.0.2.10/24 dev eth0", "arping -q -U -c 3 -I eth0 192.0.2.10"];
const RELEASED = ["ip -o addr show dev eth0", "ip addr del 192.0.2.10/24 dev eth0"];

test.each([
  ["roleChanged", "operational", TAKEN],
  ["roleChanged", "mirror", RELEASED],
  ["roleChanged", "deposed", RELEASED],
  ["beforeFence", "mirror", RELEASED],
  ["afterPromote", "operational", []],
] as const)("virtual-ip: %s to %s", (event, role, calls) => {
  expect(run("virtual-ip", [event, role], IP)).toEqual({ status: 0, calls, stderr: "" });
});

test("virtual-ip releases no address that is not there, and needs no arping that succeeds", () => {
  expect(run("virtual-ip", ["roleChanged", "mirror"], { ip: "" })).toMatchObject({ status: 0, calls: [RELEASED[0]] });
  const taken = run("virtual-ip", ["roleChanged", "operational"], { ...IP, arping: "exit 1" });
  expect(taken).toMatchObject({ status: 0, calls: TAKEN, stderr: expect.stringMatching(/^arping failed/) });
});

test("virtual-ip fails when the address cannot be taken", () => {
  const { status } = run("virtual-ip", ["roleChanged", "operational"], { ...IP, ip: "exit 2" });
  expect(status).toBe(2);
});

test("dns-update replaces the name's addresses after a promotion only", () => {
  const stubs = { nsupdate: 'cat >> "$LOG"' };
  const environment = { DNS_ADDRESS: "2001:db8::2" };
  expect(run("dns-update", ["afterPromote", "operational"], stubs, environment)).toEqual({
    status: 0,
    calls: [
      "nsupdate -t 10 -k /etc/afterimage/dns.key",
      "server ns.example",
      "update delete clinic.example. A",
      "update delete clinic.example. AAAA",
      "update add clinic.example. 30 AAAA 2001:db8::2",
      "send",
    ],
    stderr: "",
  });
  expect(run("dns-update", ["roleChanged", "mirror"], stubs, environment)).toMatchObject({ status: 0, calls: [] });
  expect(run("dns-update", ["afterPromote", "operational"], stubs).status).not.toBe(0);
  expect(run("dns-update", ["afterPromote", "operational"], { nsupdate: "exit 3" }, environment).status).toBe(3);
});

/** An HAProxy with three servers, which notes each command. */
const SOCAT = `read -r line; echo "$line" >> "$LOG"
case "$line" in "show servers"*) echo 1; echo '# be_id be_name srv_id srv_name';
for s in lisbon porto faro; do echo "3 clinic 1 $s 192.0.2.1 2"; done; echo "4 other 1 alien 192.0.2.9 2";; esac`;

test("haproxy takes all servers but this member's out, whether the old member is alive or not", () => {
  const { status, calls } = run("haproxy", ["roleChanged", "operational"], { socat: SOCAT });
  expect(status).toBe(0);
  expect(calls.filter((call) => !call.startsWith("socat "))).toEqual([
    "show servers state clinic",
    "set server clinic/lisbon state maint",
    "set server clinic/faro state maint",
    "set server clinic/porto state ready",
  ]);
});

test("haproxy lets clients go before the fence, and fails when HAProxy complains", () => {
  const { calls } = run("haproxy", ["beforeFence", "mirror"], { socat: SOCAT });
  expect(calls.at(-1)).toBe("set server clinic/porto state maint");
  const refused = run("haproxy", ["beforeFence", "mirror"], { socat: "echo 'No such server.'" });
  expect(refused).toMatchObject({ status: 1, stderr: "HAProxy: No such server.\n" });
});

test.each([
  ["afterPromote", "operational", ["systemctl start a.service b.timer"]],
  ["roleChanged", "operational", ["systemctl start a.service b.timer"]],
  ["beforeFence", "mirror", ["systemctl stop a.service b.timer"]],
  ["roleChanged", "deposed", ["systemctl stop a.service b.timer"]],
  ["afterFence", "mirror", []],
] as const)("systemd-units: %s to %s", (event, role, calls) => {
  const environment = { ROLE_UNITS: "a.service b.timer" };
  expect(run("systemd-units", [event, role], { systemctl: "" }, environment)).toEqual({ status: 0, calls, stderr: "" });
});

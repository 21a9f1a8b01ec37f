/** A network namespace behind a pair of virtual cables, so that packets can be lost without anybody being told. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { onTestFinished } from "vitest";
import type { SeparateNetwork } from "../transport/ssh-server.ts";

const PREFIX = "afterimage-";

export interface LossyNetwork extends SeparateNetwork {
  /** From now on everything that is sent from there is lost. */
  lose(): void;
  carry(): void;
}

/** Makes one until the running test has finished; null where this user may not, which is said on standard error. */
export function separateNetwork(): LossyNetwork | null {
  removeLeftovers();
  const id = process.pid.toString(36);
  const namespace = `${PREFIX}${id}`;
  const { near, far } = devicesOf(id);
  const [nearAddress, farAddress] = addressesOf(process.pid);
  const steps = [
    `netns add ${namespace}`,
    `link add ${near} type veth peer name ${far}`,
    `link set ${far} netns ${namespace}`,
    `addr add ${nearAddress}/30 dev ${near}`,
    `link set ${near} up`,
    `-n ${namespace} addr add ${farAddress}/30 dev ${far}`,
    `-n ${namespace} link set ${far} up`,
  ];
  onTestFinished(() => {
    ip(`link del ${near}`);
    ip(`netns del ${namespace}`);
  });
  for (const step of steps) {
    const fault = ip(step);
    if (fault === null) continue;
    process.stderr.write(`not tried, because only root may make a network: ip ${step}: ${fault}\n`);
    return null;
  }
  return {
    namespace,
    address: farAddress,
    lose: () => mustDo(`-n ${namespace} route add blackhole ${nearAddress}/32`),
    carry: () => mustDo(`-n ${namespace} route del blackhole ${nearAddress}/32`),
  };
}

function devicesOf(id: string): { readonly near: string; readonly far: string } {
  return { near: `ai${id}a`, far: `ai${id}b` };
}

/** The two addresses of a network of four that is this process's own, in the range for trials of network devices (RFC 2544). */
function addressesOf(pid: number): readonly [near: string, far: string] {
  const block = pid % 0x4000;
  const head = `198.18.${block >> 6}`;
  const first = (block & 0x3f) << 2;
  return [`${head}.${first + 1}`, `${head}.${first + 2}`];
}

/** A test process that was killed leaves its network behind, with an address that would take the packets of the next one. */
function removeLeftovers(): void {
  const { stdout } = spawnSync("ip", ["netns", "list"], { encoding: "utf8" });
  for (const line of (stdout ?? "").split("\n")) {
    const [name = ""] = line.split(" ");
    const id = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : "";
    if (!/^[0-9a-z]+$/.test(id) || existsSync(`/proc/${Number.parseInt(id, 36)}`)) continue;
    ip(`link del ${devicesOf(id).near}`);
    ip(`netns del ${name}`);
  }
}

/** What went wrong; null when nothing did. */
function ip(command: string): string | null {
  const { status, stderr, error } = spawnSync("ip", command.split(" "), { encoding: "utf8" });
  return status === 0 ? null : (error?.message ?? stderr.trim());
}

function mustDo(command: string): void {
  const fault = ip(command);
  if (fault !== null) throw new Error(`ip ${command}: ${fault}`);
}

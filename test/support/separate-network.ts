/** A network namespace behind a pair of virtual cables, so that packets can be lost without anybody being told. */
import { spawnSync } from "node:child_process";
import { onTestFinished } from "vitest";
import type { SeparateNetwork } from "../transport/ssh-server.ts";

/** Addresses for trials of network devices, which no real network has. */
const NEAR = "198.18.255.1";
const FAR = "198.18.255.2";

export interface LossyNetwork extends SeparateNetwork {
  /** From now on everything that is sent from there is lost. */
  lose(): void;
  carry(): void;
}

/** Makes one until the running test has finished; null where this user may not, which is said on standard error. */
export function separateNetwork(): LossyNetwork | null {
  const id = process.pid.toString(36);
  const namespace = `afterimage-${id}`;
  const [near, far] = [`ai${id}a`, `ai${id}b`];
  const steps = [
    `netns add ${namespace}`,
    `link add ${near} type veth peer name ${far}`,
    `link set ${far} netns ${namespace}`,
    `addr add ${NEAR}/30 dev ${near}`,
    `link set ${near} up`,
    `-n ${namespace} addr add ${FAR}/30 dev ${far}`,
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
    address: FAR,
    lose: () => mustDo(`-n ${namespace} route add blackhole ${NEAR}/32`),
    carry: () => mustDo(`-n ${namespace} route del blackhole ${NEAR}/32`),
  };
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

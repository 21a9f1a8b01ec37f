/**
 * Machines with an address each: network namespaces behind a router, which is a namespace too, so that nothing of it is seen
 * from outside. Between any two of them packets can be lost without anybody being told.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const PREFIX = "aihosts-";

/** Networks that this process has made. */
let made = 0;

export interface Host {
  readonly namespace: string;
  readonly address: string;
}

export class NetworkOfHosts implements Disposable {
  readonly #name: string;
  readonly #hosts: ReadonlyMap<string, Host>;
  readonly #cut = new Set<string>();

  private constructor(name: string, hosts: readonly string[]) {
    this.#name = name;
    this.#hosts = new Map(
      hosts.map((host, i) => [host, { namespace: `${name}-${i}`, address: `198.18.${i}.2` }] as const),
    );
  }

  /** Null where this user may not, which is said on standard error. The caller disposes of it. */
  static make(hosts: readonly string[]): NetworkOfHosts | null {
    removeLeftovers();
    const network = new NetworkOfHosts(`${PREFIX}${process.pid.toString(36)}-${made++}`, hosts);
    const fault = network.#build();
    if (fault === null) return network;
    network[Symbol.dispose]();
    process.stderr.write(`not tried, because only root may make a network: ${fault}\n`);
    return null;
  }

  host(name: string): Host {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new Error(`no host ${name}`);
    return host;
  }

  /** From now on whatever one of them sends to the other is lost. */
  cut(a: string, b: string): void {
    for (const [from, to] of [this.#pair(a, b), this.#pair(b, a)]) {
      const rule = `from ${from} to ${to}`;
      if (this.#cut.has(rule)) continue;
      mustDo(`-n ${this.#name} rule add ${rule} blackhole`);
      this.#cut.add(rule);
    }
  }

  heal(): void {
    for (const rule of this.#cut) mustDo(`-n ${this.#name} rule del ${rule} blackhole`);
    this.#cut.clear();
  }

  [Symbol.dispose](): void {
    for (const { namespace } of this.#hosts.values()) ip(`netns del ${namespace}`);
    ip(`netns del ${this.#name}`);
  }

  #pair(a: string, b: string): readonly [from: string, to: string] {
    return [this.host(a).address, this.host(b).address];
  }

  /** What went wrong; null when nothing did. */
  #build(): string | null {
    const router = this.#name;
    const steps = [
      `netns add ${router}`,
      `netns exec ${router} sysctl -q -w net.ipv4.ip_forward=1`,
      ...[...this.#hosts.values()].flatMap(({ namespace, address }, i) => [
        `netns add ${namespace}`,
        `-n ${router} link add to${i} type veth peer name eth0 netns ${namespace}`,
        `-n ${router} addr add 198.18.${i}.1/24 dev to${i}`,
        `-n ${router} link set to${i} up`,
        `-n ${namespace} addr add ${address}/24 dev eth0`,
        `-n ${namespace} link set eth0 up`,
        `-n ${namespace} link set lo up`,
        `-n ${namespace} route add default via 198.18.${i}.1`,
      ]),
    ];
    for (const step of steps) {
      const fault = ip(step);
      if (fault !== null) return `ip ${step}: ${fault}`;
    }
    return null;
  }
}

/** A test process that was killed leaves its namespaces behind. */
function removeLeftovers(): void {
  const { stdout } = spawnSync("ip", ["netns", "list"], { encoding: "utf8" });
  for (const line of (stdout ?? "").split("\n")) {
    const [name = ""] = line.split(" ");
    const [, pid] = /^aihosts-([0-9a-z]+)-/.exec(name) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${Number.parseInt(pid, 36)}`)) ip(`netns del ${name}`);
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

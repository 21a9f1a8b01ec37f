/** A mirror set of real daemons, each on a machine of its own with an SFTP endpoint: lisbon, and porto and faro that follow it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { type DemoMember, DemoSet, type MailboxSections } from "../../src/demo/demo-set.ts";
import { ManagedProcess } from "../../src/demo/managed-process.ts";
import { waitUntil } from "../../src/demo/wait-until.ts";
import { PROGRAM } from "../cli/afterimage.ts";
import { fingerprint, generateKey } from "../transport/ssh-server.ts";
import { createEntries } from "./entries.ts";
import { type Host, NetworkOfHosts } from "./network-of-hosts.ts";
import { type Machine, WriteGuard } from "./write-guard.ts";

export const HOSTS = ["lisbon", "porto", "faro"] as const;
export type HostName = (typeof HOSTS)[number];

/** A copy of lisbon's machine, under another address. */
const COPY = "copy";
const PORT = 2200;
const STALLED_AFTER_MS = 120_000;

const MEMBERS: readonly DemoMember[] = [
  { member: "lisbon", follows: null },
  { member: "porto", follows: "lisbon" },
  { member: "faro", follows: "lisbon" },
];

export interface CommandEnd {
  readonly code: number | null;
  readonly output: string;
}

export interface MachineCopy {
  readonly machine: Machine;
  /** What it says of itself. */
  readonly statusPath: string;
  canWrite(): boolean;
  start(): void;
}

export class HostSet implements AsyncDisposable {
  readonly set: DemoSet;
  readonly guard: WriteGuard;
  readonly network: NetworkOfHosts;
  readonly #signal: AbortSignal;
  readonly #daemons = new Map<string, ManagedProcess>();

  /** Null where no network can be made. @param keys of the configuration besides. */
  static async start(signal: AbortSignal, keys: Readonly<Record<string, string>> = {}): Promise<HostSet | null> {
    const network = NetworkOfHosts.make([...HOSTS, COPY]);
    if (network === null) return null;
    const hosts = new HostSet(network, signal, keys);
    try {
      await hosts.#begin();
      return hosts;
    } catch (error) {
      await hosts[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(network: NetworkOfHosts, signal: AbortSignal, keys: Readonly<Record<string, string>>) {
    this.network = network;
    this.#signal = signal;
    this.set = new DemoSet({ root: mkdtempSync(join(tmpdir(), "afterimage-test-")), members: MEMBERS });
    this.set.configure(this.#mailboxes());
    const configuration = parse(readFileSync(this.set.configPath, "utf8"));
    writeFileSync(this.set.configPath, stringify({ ...configuration, ...keys }));
    this.guard = new WriteGuard(
      HOSTS.map((name) => this.#machine(name, this.set.statePath(name), this.set.databasePath(name))),
    );
  }

  async #begin(): Promise<void> {
    createEntries(this.set.databasePath("lisbon"));
    for (const name of HOSTS) this.start(name);
    for (const name of ["porto", "faro"])
      await this.until(`${name} has a snapshot`, () => (this.set.databaseStatus(name)?.integrated ?? null) !== null);
    this.guard.start();
    await this.until("something is written", () => this.guard.writes > 0);
  }

  start(name: HostName): void {
    this.#run(name, this.network.host(name), this.set.configPath);
  }

  #run(key: string, { namespace }: Host, configPath: string, member = key): void {
    const args = [
      "netns",
      "exec",
      namespace,
      process.execPath,
      PROGRAM,
      "run",
      "--config",
      configPath,
      "--node",
      member,
    ];
    this.#daemons.set(key, ManagedProcess.start(key, "ip", args, this.set.logPath(member)));
  }

  async stop(name: string): Promise<void> {
    await this.#daemons.get(name)?.terminate();
    this.#daemons.delete(name);
  }

  /** Runs a command on the machine of a member. */
  async command(name: HostName, ...args: string[]): Promise<CommandEnd> {
    const { namespace } = this.network.host(name);
    const whole = [PROGRAM, ...args, "--config", this.set.configPath, "--node", name];
    const child = spawn("ip", ["netns", "exec", namespace, process.execPath, ...whole], {
      stdio: ["ignore", "pipe", "pipe"],
      signal: this.#signal,
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    const [code] = await once(child, "close");
    return { code, output };
  }

  async until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    await waitUntil(condition, {
      what,
      stalledAfterMs: STALLED_AFTER_MS,
      progress: () => (this.guard.faults().length > 0 ? "" : JSON.stringify(this.roles())),
      signal: this.#signal,
    });
  }

  /** What the members' states say: such as `operational 1`. */
  roles(): Record<string, string> {
    return this.guard.roles();
  }

  /** A copy of lisbon's machine, which must be stopped; it will have the same name and another address. */
  copyLisbon(): MachineCopy {
    const { root } = this.set;
    const [here, there] = [join(root, "lisbon"), join(root, COPY)];
    cpSync(here, there, { recursive: true, preserveTimestamps: true });
    const host = this.network.host(COPY);
    const configuration = parse(readFileSync(this.set.configPath, "utf8"));
    const { lisbon } = configuration.members;
    const moved = JSON.parse(JSON.stringify(lisbon).replaceAll(`${here}/`, `${there}/`));
    configuration.members.lisbon = { ...moved, listen: { ...lisbon.listen, address: host.address } };
    const configPath = join(root, "copy.yaml");
    writeFileSync(configPath, stringify(configuration));
    const machine = this.#machine(COPY, join(there, "state"), join(there, "data", "shop.db"));
    const alone = new WriteGuard([machine]);
    return {
      machine,
      statusPath: join(there, "mailbox", "status.json"),
      canWrite: () => alone.unfenced().length > 0,
      start: () => this.#run(COPY, host, configPath, "lisbon"),
    };
  }

  #machine(name: string, state: string, database: string): Machine {
    return { name, statePath: join(state, "state.db"), databasePath: database };
  }

  #mailboxes(): MailboxSections {
    const keys = join(this.set.root, "keys");
    mkdirSync(keys);
    const [identity, hostKey] = [join(keys, "identity"), join(keys, "host")];
    for (const key of [identity, hostKey]) generateKey(key);
    const authorizedKeys = [readFileSync(`${identity}.pub`, "utf8").trim()];
    const sections = HOSTS.map((name): [string, object] => {
      const { address } = this.network.host(name);
      return [
        name,
        {
          mailbox: `sftp://mirror@${address}:${PORT}/srv/${name}`,
          directory: this.set.mailboxPath(name),
          hostKey: fingerprint(hostKey),
          listen: { address, port: PORT, hostKey, authorizedKeys },
        },
      ];
    });
    return { members: new Map(sections), ssh: { identity } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.guard.stop();
    const daemons = [...this.#daemons.values()];
    for (const daemon of daemons) daemon.kill("SIGKILL");
    await Promise.all(daemons.map((daemon) => daemon.exited));
    this.network[Symbol.dispose]();
    rmSync(this.set.root, { recursive: true, force: true, maxRetries: 5 });
  }
}

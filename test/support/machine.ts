/**
 * A machine for a test: a network address of its own, and file systems that nobody else sees the changes of. What is in /etc, /root,
 * /home, /srv and /var/lib at first is this machine's; processes are seen everywhere.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Host } from "./network-of-hosts.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const PRIVATE = ["etc", "root", "home", "srv", "var/lib"];

export interface Done {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Machine {
  readonly address: string;
  readonly #holder: ChildProcess;
  readonly #path: string;
  readonly #children = new Set<ChildProcess>();

  private constructor(host: Host, holder: ChildProcess, path: string) {
    this.address = host.address;
    this.#holder = holder;
    this.#path = path;
  }

  /** @param programs a directory of programs that come first in its search path. */
  static async start(host: Host, programs: string): Promise<Machine> {
    const changes = temporaryDirectory();
    const overlays = PRIVATE.map((directory) => {
      const own = `${changes}/${directory}`;
      const layers = `lowerdir=/${directory},upperdir=${own}/upper,workdir=${own}/work`;
      return `mkdir -p ${own}/upper ${own}/work && mount -t overlay -o ${layers} overlay /${directory}`;
    });
    const script = [
      "set -e",
      `mount -t tmpfs tmpfs ${changes}`,
      ...overlays,
      "mount -t tmpfs tmpfs /run",
      "echo ready",
      "exec sleep infinity",
    ];
    const args = ["netns", "exec", host.namespace, "unshare", "--mount", "--propagation", "private"];
    const holder = spawn("ip", [...args, "sh", "-c", script.join("\n")], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise<void>((resolve, reject) => {
      createInterface(holder.stdout).once("line", () => resolve());
      holder.once("exit", () => reject(new Error("the machine ended")));
    });
    return new Machine(host, holder, `${programs}:${process.env.PATH}`);
  }

  /** Starts a line of shell in root's home directory; it is ended with the machine. */
  spawn(line: string): ChildProcess {
    const args = ["-t", String(this.#holder.pid), "-m", "-n", "sh", "-c", `cd /root && ${line}`];
    const { AFTERIMAGE_NODE: _, ...inherited } = process.env;
    const env = { ...inherited, HOME: "/root", PATH: this.#path };
    const child = spawn("nsenter", args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }

  async run(line: string): Promise<Done> {
    const child = this.spawn(line);
    const output = { stdout: "", stderr: "" };
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output.stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      output.stderr += text;
    });
    const [code] = await once(child, "close");
    return { code, ...output };
  }

  /** @throws Error unless the line ends with 0. */
  async must(line: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(line);
    if (code !== 0) throw new Error(`${line}\nended with ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  async stop(): Promise<void> {
    for (const child of [...this.#children]) {
      const exited = once(child, "exit");
      // The group, which the shell's children are in.
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      await exited;
    }
    const exited = once(this.#holder, "exit");
    this.#holder.kill("SIGKILL");
    await exited;
  }
}

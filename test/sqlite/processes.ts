/** Processes that use a database as applications do; each is killed when the test ends, if it still runs. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

const PROGRAMS = {
  checkpointing: new URL("./checkpointing.ts", import.meta.url),
  follower: new URL("./follower-process.ts", import.meta.url),
  largeCapture: new URL("./large-capture.ts", import.meta.url),
  writer: new URL("./writer.ts", import.meta.url),
} as const;

export class TestProcess {
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  /** The last message that it sent, or the last line that it printed. */
  latest: unknown = null;
  first: unknown = null;
  messages = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    const heard = (message: unknown) => {
      if (this.messages === 0) this.first = message;
      this.latest = message;
      this.messages++;
      for (const watcher of this.#watchers) watcher();
    };
    child.on("message", heard);
    if (child.stdout !== null) createInterface(child.stdout).on("line", heard);
    child.on("exit", () => {
      for (const watcher of this.#watchers) watcher();
    });
    onTestFinished(() => this.kill());
  }

  /** One of the programs above under this Node; it talks by messages. */
  static node(program: keyof typeof PROGRAMS, args: readonly string[]): TestProcess {
    return new TestProcess(fork(PROGRAMS[program], [...args], { execArgv: [] }));
  }

  /** A script of this directory under Python; it talks by lines. */
  static python(script: string, args: readonly string[]): TestProcess {
    return new TestProcess(
      spawn("python3", [join(import.meta.dirname, script), ...args], { stdio: ["ignore", "pipe", "inherit"] }),
    );
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Waits until `condition` holds, asking after each message. Fails when the process ends first. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#ended) throw new Error(`process ${this.pid} ended early`);
      await new Promise<void>((resolve) => {
        const watcher = () => {
          this.#watchers.delete(watcher);
          resolve();
        };
        this.#watchers.add(watcher);
      });
    }
  }

  /** Waits for `count` more messages. */
  async more(count: number): Promise<void> {
    const wanted = this.messages + count;
    await this.until(() => this.messages >= wanted);
  }

  /** Lets it end by itself; fails when it does not end well. */
  async stop(): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.disconnect();
    const [code] = await exited;
    if (code !== 0) throw new Error(`process ${this.pid} failed with ${code}`);
  }

  async kill(): Promise<void> {
    if (this.#ended) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}

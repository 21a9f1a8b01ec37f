/** A set whose daemons kill each other, or themselves, at named steps of the runbook. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { DemoSet } from "../../src/demo/demo-set.ts";
import { ManagedProcess } from "../../src/demo/managed-process.ts";
import type { RunbookStep } from "../../src/member/runbook-steps.ts";

export interface KillInstruction {
  /** Whoever comes to it first kills. */
  readonly step: RunbookStep;
  /** Of the daemon that is killed. */
  readonly pid: number;
}

const SCRIPT = fileURLToPath(new URL("instructed-daemon.ts", import.meta.url));

export class InstructedDaemons {
  readonly #set: DemoSet;
  readonly #daemons = new Map<string, ManagedProcess>();

  constructor(set: DemoSet) {
    this.#set = set;
    onTestFinished(async () => {
      for (const daemon of this.#daemons.values()) daemon.kill("SIGKILL");
      await Promise.all([...this.#daemons.values()].map((daemon) => daemon.exited));
    });
  }

  get #instructions(): string {
    return join(this.#set.root, "kill.json");
  }

  start(member: string): void {
    const args = [SCRIPT, this.#set.configPath, member, this.#instructions];
    this.#daemons.set(member, ManagedProcess.start(member, process.execPath, args, this.#set.logPath(member)));
  }

  /** Has the daemon of `victim` killed as soon as any daemon comes to the step. */
  instruct(step: RunbookStep, victim: string): void {
    const pid = this.#daemons.get(victim)?.pid;
    if (pid == null) throw new Error(`${victim} does not run`);
    writeFileSync(this.#instructions, JSON.stringify({ step, pid } satisfies KillInstruction));
  }

  /** Whether a step was not come to. */
  get isInstructed(): boolean {
    try {
      return readFileSync(this.#instructions, "utf8") !== "";
    } catch {
      return false;
    }
  }

  forget(): void {
    rmSync(this.#instructions, { force: true });
  }

  isRunning(member: string): boolean {
    return this.#daemons.get(member)?.exit === null;
  }

  async kill(member: string): Promise<void> {
    this.#daemons.get(member)?.kill("SIGKILL");
    await this.#daemons.get(member)?.exited;
    this.#daemons.delete(member);
  }

  async stopOne(member: string): Promise<void> {
    await this.#daemons.get(member)?.terminate();
    this.#daemons.delete(member);
  }

  logTail(member: string): string {
    return this.#daemons.get(member)?.logTail() ?? "";
  }

  /** Ends all of them with SIGTERM; returns those that did not end well. */
  async stop(): Promise<string[]> {
    const exits = await Promise.all(
      [...this.#daemons.values()].map(async (each) => [each.name, await each.terminate()] as const),
    );
    return exits.flatMap(([name, { code }]) => (code === 0 ? [] : [name]));
  }
}

/** TypeScript programs of the tests in processes of their own, for what only another process can show. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

export interface RunningChild {
  readonly pid: number;
  /** The lines that it has printed so far. */
  readonly lines: readonly string[];
  /** Resolves with the first line that satisfies `wanted`, printed before or after the call; rejects when the process ends first. */
  line(wanted: (line: string) => boolean): Promise<string>;
  /** Kills it with SIGKILL and waits until it is gone and all its lines are here. */
  kill(): Promise<void>;
}

interface Waiter {
  readonly wanted: (line: string) => boolean;
  readonly resolve: (line: string) => void;
  readonly reject: (error: Error) => void;
}

/** Starts `script` with this Node; it is killed when the running test has finished, if it still runs. */
export function startChild(script: URL, args: readonly string[]): RunningChild {
  const child = spawn(process.execPath, [script.pathname, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close");
  const kill = () => killed(child, closed);
  onTestFinished(kill);
  const lines: string[] = [];
  let waiters: Waiter[] = [];
  let ended = false;
  createInterface(child.stdout).on("line", (line) => {
    lines.push(line);
    for (const waiter of waiters.filter(({ wanted }) => wanted(line))) waiter.resolve(line);
    waiters = waiters.filter(({ wanted }) => !wanted(line));
  });
  const early = () => new Error(`${script.pathname} ended early: ${lines.slice(-5).join(" | ")}`);
  child.on("close", () => {
    ended = true;
    for (const { reject } of waiters) reject(early());
  });
  return {
    pid: child.pid ?? 0,
    lines,
    kill,
    line: (wanted) => {
      const known = lines.find(wanted);
      if (known !== undefined) return Promise.resolve(known);
      if (ended) return Promise.reject(early());
      return new Promise((resolve, reject) => waiters.push({ wanted, resolve, reject }));
    },
  };
}

async function killed(child: ChildProcess, closed: Promise<unknown>): Promise<void> {
  child.kill("SIGKILL");
  await closed;
}

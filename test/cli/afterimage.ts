/** The program as a user starts it: a process, its output and its exit code. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export const PROGRAM = fileURLToPath(new URL("../../bin/afterimage", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface StartOptions {
  /** Working directory. */
  readonly cwd: string;
  /** Added to this process's environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Node's own flags. */
  readonly nodeFlags?: readonly string[];
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Starts the program; it is killed at the end of the test, if it still runs then. */
export function startAfterimage(
  args: readonly string[],
  { cwd, environment = {}, nodeFlags = [] }: StartOptions,
): Started {
  const { AFTERIMAGE_NODE: _, ...inherited } = process.env;
  const child = spawn(process.execPath, [...nodeFlags, PROGRAM, ...args], {
    cwd,
    env: { ...inherited, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, ...output }));
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await ended;
  });
  return { child, ended };
}

export async function afterimage(args: readonly string[], options: StartOptions): Promise<Ended> {
  return await startAfterimage(args, options).ended;
}

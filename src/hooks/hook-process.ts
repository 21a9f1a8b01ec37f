/**
 * Runs one program in a process group of its own, with bounds: on its time, on what is kept of its output, and on how long
 * its pipes are waited for once it has ended, because processes that it left behind may hold them for ever.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { errnoOf } from "../errno.ts";

/** What is kept of each stream; the rest is read, so that the program does not wait, and dropped. */
const OUTPUT_BYTES_KEPT = 16 * 1024;
/** From SIGTERM to SIGKILL. */
const KILL_AFTER_MS = 5_000;
/** For what is in the pipes when the program has ended. */
const DRAIN_MS = 500;

export interface HookCall {
  readonly path: string;
  readonly args: readonly string[];
  readonly input: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeLimitMs: number;
  /** Ends the program, as its time limit does. */
  readonly stop: AbortSignal;
  /** From SIGTERM to SIGKILL; 5 s when not given. */
  readonly killAfterMs?: number;
}

export interface HookEnd {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Whether the time limit ended it. */
  readonly timedOut: boolean;
  /** The beginning of each stream. */
  readonly stdout: string;
  readonly stderr: string;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** Resolves when the program has ended; rejects with what the system said when it cannot be started. */
export async function runHookProcess(call: HookCall): Promise<HookEnd> {
  const child = spawn(call.path, call.args, {
    // A group of its own, so that what it starts can be ended with it.
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...call.environment },
  });
  const stdout = new KeptOutput(child.stdout);
  const stderr = new KeptOutput(child.stderr);
  // A program need not read its input: what comes of it shows in how it ends.
  child.stdin.on("error", () => {});
  child.stdin.end(call.input);
  const exited = exitOf(child);
  const timedOut = await endInTime(child, exited, call);
  const { code, signal } = await exited;
  await Promise.all([stdout.drained(), stderr.drained()]);
  child.stdin.destroy();
  return { code, signal, timedOut, stdout: stdout.text(), stderr: stderr.text() };
}

type Exit = Pick<HookEnd, "code" | "signal">;

function exitOf(child: Child): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.once("error", reject);
  });
}

/** Returns whether the program's time was up. */
async function endInTime(child: Child, exited: Promise<Exit>, call: HookCall): Promise<boolean> {
  const first = await firstOf(exited, call.timeLimitMs, call.stop);
  if (first === "exited") return false;
  signalGroup(child, "SIGTERM");
  await firstOf(exited, call.killAfterMs ?? KILL_AFTER_MS);
  // Also when the program itself has ended: what it has started may not listen.
  signalGroup(child, "SIGKILL");
  return first === "timedOut";
}

/** What comes first: the end of the program, the end of its time, or `stop`. */
async function firstOf(exited: Promise<Exit>, limitMs: number, stop?: AbortSignal) {
  const { promise, resolve } = Promise.withResolvers<"timedOut" | "stopped">();
  const timer = setTimeout(() => resolve("timedOut"), limitMs);
  const onStop = () => resolve("stopped");
  if (stop?.aborted) onStop();
  stop?.addEventListener("abort", onStop, { once: true });
  try {
    return await Promise.race([exited.then(() => "exited" as const), promise]);
  } finally {
    clearTimeout(timer);
    stop?.removeEventListener("abort", onStop);
  }
}

function signalGroup(child: Child, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}

class KeptOutput {
  readonly #stream: Readable;
  readonly #closed: Promise<void>;
  readonly #chunks: Buffer[] = [];
  #kept = 0;
  #dropped = 0;

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => this.#keep(chunk));
    stream.on("error", () => {});
    this.#closed = new Promise((resolve) => stream.once("close", resolve));
  }

  /** Waits for the end of the stream, but not for those that hold it open. */
  async drained(): Promise<void> {
    const timer = setTimeout(() => this.#stream.destroy(), DRAIN_MS);
    await this.#closed;
    clearTimeout(timer);
  }

  text(): string {
    const text = Buffer.concat(this.#chunks).toString("utf8").trimEnd();
    return this.#dropped === 0 ? text : `${text}\n(${this.#dropped} more bytes)`;
  }

  #keep(chunk: Buffer): void {
    const part = chunk.subarray(0, OUTPUT_BYTES_KEPT - this.#kept);
    if (part.length > 0) this.#chunks.push(part);
    this.#kept += part.length;
    this.#dropped += chunk.length - part.length;
  }
}

/**
 * A daemon that this program has started: `afterimage run` in a process of its own, with a channel over which it says when it
 * serves and what happens. It ends by itself when this program does, however that comes about.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { ControlError, DaemonError } from "../member/control-error.ts";
import { errorBodySchema } from "../member/control-protocol.ts";
import { type MemberEvent, parentMessageSchema } from "../overseer/parent-messages.ts";

const PROGRAM = fileURLToPath(new URL("../../bin/afterimage", import.meta.url));
/** What was said to this program, and not to the ones that it starts. */
const NOT_INHERITED = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "NODE_OPTIONS"];
/** It finishes what it has begun; then it is ended. */
const STOP_LIMIT_MS = 90_000;

const failureSchema = z.object({ error: errorBodySchema });

export interface DaemonExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What it failed with; null when it ended without a word. */
  readonly error: DaemonError | null;
}

export interface DaemonOptions {
  readonly configFile: string;
  readonly node: string;
  readonly onEvent: (event: MemberEvent) => void;
  /** Takes each line of its log; standard error when null. */
  readonly onLog: ((line: string) => void) | null;
}

export class DaemonProcess {
  readonly exited: Promise<DaemonExit>;
  readonly #child: ChildProcess;
  readonly #ready: Promise<void>;

  constructor({ configFile, node, onEvent, onLog }: DaemonOptions) {
    const args = [PROGRAM, "run", "--json", "--tell-parent", "--config", configFile, "--node", node];
    const environment = Object.entries(process.env).filter(([name]) => !NOT_INHERITED.includes(name));
    const child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", onLog === null ? "inherit" : "pipe", "ipc"],
      env: Object.fromEntries(environment),
      // A signal from the terminal is for the application, which stops the daemon after its own last commit.
      detached: true,
    });
    this.#child = child;
    // What becomes of it is seen when it ends.
    child.on("error", () => undefined);
    if (onLog !== null && child.stderr !== null) createInterface(child.stderr).on("line", onLog);
    this.#ready = new Promise((resolve) => {
      child.on("message", (message) => {
        const { data: said } = parentMessageSchema.safeParse(message);
        if (said?.told === "ready") resolve();
        if (said?.told === "event") onEvent(said.event);
      });
    });
    this.exited = exit(child);
  }

  get pid(): number | null {
    return this.#child.pid ?? null;
  }

  /** Resolves when it serves. @throws DaemonError what it failed with; ControlError CONTROL_LOST when it ended without a word. */
  async serving(): Promise<void> {
    const ended = await Promise.race([this.#ready.then(() => null), this.exited]);
    if (ended === null) return;
    const how = ended.signal ?? `exit code ${ended.code}`;
    throw ended.error ?? new ControlError("CONTROL_LOST", `the daemon ended before it served: ${how}`);
  }

  /** Asks it to finish what it has begun, and waits until it has ended; it is killed when that takes 90 s. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    const limit = setTimeout(() => this.#child.kill("SIGKILL"), STOP_LIMIT_MS);
    await this.exited;
    clearTimeout(limit);
  }
}

async function exit(child: ChildProcess): Promise<DaemonExit> {
  const printed = child.stdout === null ? "" : textOf(child.stdout);
  const closed = once(child, "close").catch(() => [null, null]);
  const [said] = await Promise.all([printed, closed]);
  return { code: child.exitCode, signal: child.signalCode, error: failure(said) };
}

async function textOf(stream: Readable): Promise<string> {
  return await text(stream).catch(() => "");
}

function failure(printed: string): DaemonError | null {
  try {
    const { code, message, hint, path } = failureSchema.parse(JSON.parse(printed)).error;
    return new DaemonError(code, message, { ...(hint === null ? {} : { hint }), ...(path === null ? {} : { path }) });
  } catch {
    return null;
  }
}

/**
 * A child process that its owner can watch and end. It is only ever ended by its own handle, and what it writes goes to a file.
 */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { z } from "zod";
import { STOP } from "./demo-messages.ts";

const LOG_TAIL_LINES = 15;
const KILL_AFTER_MS = 20_000;

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class ManagedProcess {
  readonly name: string;
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcess;
  readonly #logPath: string;
  #exit: ProcessExit | null = null;

  constructor(name: string, child: ChildProcess, logPath: string) {
    this.name = name;
    this.#child = child;
    this.#logPath = logPath;
    this.exited = new Promise((resolve) => {
      const settle = (code: number | null, signal: NodeJS.Signals | null) => {
        this.#exit ??= { code, signal };
        resolve(this.#exit);
      };
      child.once("exit", settle);
      child.once("error", () => settle(null, null));
    });
  }

  /**
   * Starts `command`; standard output and error are appended to the file at `logPath`. Nothing is sent over the IPC channel:
   * a Node program that listens for `disconnect` learns that its owner has ended, also by SIGKILL.
   */
  static start(name: string, command: string, args: readonly string[], logPath: string): ManagedProcess {
    const log = openSync(logPath, "a");
    try {
      return new ManagedProcess(name, spawn(command, args, { stdio: ["ignore", log, log, "ipc"] }), logPath);
    } finally {
      closeSync(log);
    }
  }

  /** Null when the process could not be started. */
  get pid(): number | null {
    return this.#child.pid ?? null;
  }

  /** How it ended; null while it runs. */
  get exit(): ProcessExit | null {
    return this.#exit;
  }

  kill(signal: NodeJS.Signals): void {
    if (this.#exit === null) this.#child.kill(signal);
  }

  /** Asks it to end with SIGTERM and waits; SIGKILL when it has not ended after 20 s. */
  async terminate(): Promise<ProcessExit> {
    return this.endAfter(() => this.kill("SIGTERM"));
  }

  /** Runs `ask`, which should make the process end, and waits; SIGKILL when it has not ended after 20 s. */
  protected async endAfter(ask: () => void): Promise<ProcessExit> {
    ask();
    const timer = setTimeout(() => this.kill("SIGKILL"), KILL_AFTER_MS);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The last lines that it wrote. */
  logTail(): string {
    try {
      return readFileSync(this.#logPath, "utf8").trimEnd().split("\n").slice(-LOG_TAIL_LINES).join("\n");
    } catch {
      return "";
    }
  }
}

/** A process of this program that sends reports over IPC; see `reporting-child.ts`. */
export class ReportingProcess<Report extends { final: boolean }> extends ManagedProcess {
  readonly #ipc: ChildProcess;
  #latest: Report | null = null;

  private constructor(name: string, child: ChildProcess, logPath: string, schema: z.ZodType<Report>) {
    super(name, child, logPath);
    this.#ipc = child;
    child.on("message", (message) => {
      this.#latest = schema.parse(message);
    });
  }

  /** Forks the module `entry` beside this one, without its extension: "demo-reader". */
  static fork<Report extends { final: boolean }>(
    name: string,
    entry: string,
    args: readonly string[],
    logPath: string,
    schema: z.ZodType<Report>,
  ): ReportingProcess<Report> {
    const extension = extname(fileURLToPath(import.meta.url));
    const path = fileURLToPath(new URL(`./${entry}${extension}`, import.meta.url));
    const log = openSync(logPath, "a");
    try {
      const child = fork(path, args, { stdio: ["ignore", log, log, "ipc"], execArgv: [] });
      return new ReportingProcess(name, child, logPath, schema);
    } finally {
      closeSync(log);
    }
  }

  /** The newest report; null before the first. */
  get latest(): Report | null {
    return this.#latest;
  }

  /** Tells it to stop, waits for its end, and returns its last report; null when it ended without one. */
  async stop(): Promise<Report | null> {
    await this.endAfter(() => {
      if (this.#ipc.connected) this.#ipc.send(STOP, () => {});
    });
    return this.#latest?.final === true ? this.#latest : null;
  }
}

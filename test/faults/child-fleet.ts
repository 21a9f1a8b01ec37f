/** Starts the processes of a fault test, ends them, and collects what they counted. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

export interface ReaderFigures {
  reads: number;
  readonly wrong: string[];
  /** Different states seen. */
  states: number;
  integrityChecks: number;
  readonly errors: Record<string, number>;
}

export interface RogueFigures {
  refused: number;
  /** Writes that were not refused. */
  readonly written: string[];
  checkpoints: number;
  readonly errors: Record<string, number>;
}

export interface Exit {
  readonly code: number | null;
  readonly lines: readonly string[];
}

export class Child {
  readonly process: ChildProcess;
  readonly lines: string[] = [];
  readonly exit: Promise<Exit>;
  readonly #started: Promise<unknown>;

  constructor(script: string, args: readonly string[], onLine: (line: string) => void = () => {}) {
    this.process = spawn(process.execPath, [new URL(script, import.meta.url).pathname, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    if (this.process.stdout === null) throw new Error("no output");
    const lines = createInterface(this.process.stdout);
    this.#started = once(lines, "line");
    lines.on("line", (line) => {
      this.lines.push(line);
      onLine(line);
    });
    this.exit = Promise.all([once(this.process, "exit"), once(lines, "close")]).then(([[code]]) => ({
      code: code as number | null,
      lines: this.lines,
    }));
    onTestFinished(async () => {
      this.kill();
      await this.exit;
    });
  }

  /** Resolves when it has printed something. */
  async started(): Promise<void> {
    await Promise.race([this.#started, this.exit]);
  }

  kill(): void {
    this.process.kill("SIGKILL");
  }

  /** Asks it to stop and returns what it printed last. */
  async finish<Figures>(): Promise<Figures> {
    this.process.kill("SIGTERM");
    const { lines } = await this.exit;
    return JSON.parse(lines.at(-1) ?? "null") as Figures;
  }
}

/** Adds up counters, lists and error counts of several processes. */
export function addFigures<Figures extends object>(all: readonly Figures[], empty: Figures): Figures {
  const total: Record<string, unknown> = Object.fromEntries(Object.entries(empty));
  for (const figures of all) {
    for (const [name, value] of Object.entries(figures)) total[name] = addValue(total[name], value);
  }
  return total as Figures;
}

function addValue(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (Array.isArray(a) && Array.isArray(b)) return [...a, ...b];
  const sum: Record<string, number> = { ...(a as Record<string, number>) };
  for (const [key, count] of Object.entries(b as Record<string, number>)) sum[key] = (sum[key] ?? 0) + count;
  return sum;
}

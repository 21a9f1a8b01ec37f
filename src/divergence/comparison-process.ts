/** Compares two copies in a process of its own; see comparison-child.ts. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { extname } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { DivergenceError } from "./divergence-error.ts";

export const comparisonRequestSchema = z.object({
  /** Paths of the databases, and of the directory for the report. */
  lost: z.string(),
  winning: z.string(),
  directory: z.string(),
  /** What the report calls them. */
  shown: z.object({ lost: z.string(), winning: z.string() }),
  positions: z.object({ lost: z.string(), winning: z.string(), fork: z.string().nullable() }),
});

export type ComparisonRequest = z.infer<typeof comparisonRequestSchema>;

export class ComparisonProcess {
  readonly #child: ChildProcessByStdio<null, Readable, null>;
  readonly #closed: Promise<unknown>;
  readonly #begun: Promise<void>;
  #last = "";

  /** @param stop ends it. */
  constructor(request: ComparisonRequest, stop: AbortSignal) {
    const here = fileURLToPath(import.meta.url);
    const script = fileURLToPath(new URL(`./comparison-child${extname(here)}`, import.meta.url));
    const child = spawn(process.execPath, [script, JSON.stringify(request)], {
      stdio: ["ignore", "pipe", "ignore"],
      signal: stop,
    });
    this.#child = child;
    // That it was aborted, or could not be started, is what `done` says.
    child.on("error", (error) => {
      this.#last = error.message;
    });
    this.#closed = once(child, "close").catch(() => undefined);
    this.#begun = new Promise((resolve) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        this.#last = line;
        if (line === "begun") resolve();
      });
      void this.#closed.then(() => resolve());
    });
  }

  /** Resolves when both copies are read as they were at that moment, or never will be. */
  async begun(): Promise<void> {
    await this.#begun;
  }

  /** Resolves when the report is durable. @throws DivergenceError COMPARISON_FAILED */
  async done(): Promise<void> {
    await this.#closed;
    if (this.#child.exitCode === 0) return;
    throw new DivergenceError(
      "COMPARISON_FAILED",
      `the two states cannot be compared: ${this.#last || "it was ended"}`,
    );
  }
}

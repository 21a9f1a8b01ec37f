import type { CommandIo } from "./command-io.ts";

/** What a shell shows for a program that Ctrl-C has ended. */
const INTERRUPTED = 130;

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Lets a command undo what it has begun when a signal asks it to end. While it is not enabled, signals end the process at
 * once, as they do without it: for work that does not return to the event loop, where no handler would ever run.
 */
export class Interruption implements Disposable {
  readonly #abort = new AbortController();
  readonly #handler = (name: NodeJS.Signals) => this.#abort.abort(new Error(`interrupted by ${name}`));
  #enabled = false;

  constructor() {
    this.enabled = true;
  }

  /** Aborted by the first signal. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  set enabled(enabled: boolean) {
    if (enabled === this.#enabled) return;
    this.#enabled = enabled;
    for (const name of SIGNALS) {
      if (enabled) process.on(name, this.#handler);
      else process.off(name, this.#handler);
    }
  }

  /** Runs the command; resolves to its exit code, or to that of an interrupted one when a signal was why it failed. */
  async exitCode(io: CommandIo, command: () => Promise<number>): Promise<number> {
    try {
      return await command();
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error;
      io.err("Interrupted: what was begun has been removed.");
      return INTERRUPTED;
    }
  }

  [Symbol.dispose](): void {
    this.enabled = false;
  }
}

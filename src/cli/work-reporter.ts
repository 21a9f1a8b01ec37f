/** Tells the daemon, where one runs, how work gets on that this process does beside it: `status` and `events` show it. */
import { join } from "node:path";
import type { MemberConfiguration } from "../config/configuration.ts";
import { connectControl } from "../member/control-client.ts";
import type { MemberControl, NotedWork } from "../member/member-control.ts";
import type { CommandIo, GlobalOptions } from "./command-io.ts";
import { type Progress, ProgressBar } from "./progress-bar.ts";

const SPACING_MS = 1_000;

type Note = Omit<NotedWork, "pid" | "elapsedMs">;

/** A progress bar, and a daemon that is told the same now and then. What the daemon says to it does not matter. */
export class WorkReporter {
  readonly #bar: ProgressBar;
  readonly #kind: NotedWork["kind"];
  #control: Promise<MemberControl | null>;
  #last: Note | null = null;
  /** With this database. */
  #beganAtMs = performance.now();
  /** Of the last attempt; work that is over sooner is not spoken of. */
  #sentAtMs = performance.now();
  #isSending = false;
  /** Whether the daemon has heard of what is being done. */
  #isKnown = false;
  #sending: Promise<void> = Promise.resolve();

  constructor(
    args: GlobalOptions,
    io: CommandIo,
    { kind, member }: { kind: NotedWork["kind"]; member: MemberConfiguration },
  ) {
    this.#bar = new ProgressBar(args, io);
    this.#kind = kind;
    this.#control = connectControl(join(member.state, "control.sock")).catch(() => null);
  }

  show(progress: Progress): void {
    this.#bar.show(progress);
    const { what: database, step, bytes: done, totalBytes: total } = progress;
    if (this.#last !== null && this.#last.database !== database) this.#conclude("finished");
    this.#last = { kind: this.#kind, database, state: "running", step, done, total };
    // SQLite's check, which comes last, returns only when it is done.
    if (step === "checking" || performance.now() - this.#sentAtMs >= SPACING_MS) this.#tell();
  }

  /** Does the work, and says how it ended. */
  async during<T>(act: () => Promise<T>): Promise<T> {
    // What waits has nothing new to show.
    const timer = setInterval(() => this.#tell(), SPACING_MS);
    try {
      const result = await act();
      await this.#end("finished");
      return result;
    } catch (error) {
      await this.#end("stopped");
      throw error;
    } finally {
      clearInterval(timer);
    }
  }

  async #end(state: "finished" | "stopped"): Promise<void> {
    this.#bar.end();
    this.#conclude(state);
    await this.#sending;
  }

  #tell(): void {
    if (this.#last === null || this.#isSending) return;
    this.#isKnown = true;
    this.#send(this.#last);
  }

  #conclude(state: "finished" | "stopped"): void {
    if (this.#last !== null && this.#isKnown) this.#send({ ...this.#last, state });
    this.#last = null;
    this.#isKnown = false;
    this.#beganAtMs = performance.now();
  }

  /** In order: one that is late must not bring back what has ended. */
  #send(note: Note): void {
    this.#sentAtMs = performance.now();
    const elapsedMs = this.#sentAtMs - this.#beganAtMs;
    this.#isSending = true;
    this.#sending = this.#sending.then(async () => {
      try {
        await (await this.#control)?.noteWork({ ...note, pid: process.pid, elapsedMs });
      } catch {
        // A daemon that stands still, or another version of it, must not hold the work up a second time.
        this.#control = Promise.resolve(null);
      }
      this.#isSending = false;
    });
  }
}

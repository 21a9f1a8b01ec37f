/**
 * Notices work that stands still although there is something to do, whatever it waits for and without its help.
 *
 * Guarantee: work that was due, and did not move for {@link STALL_LIMIT_MS} while this process could have done it, has an
 * error of its own in status, raised once as an event and cleared once. An error that the work itself reports says
 * more: then there is none from here. It watches from within the process: that the process itself stands still is for others to
 * see, who find its heartbeat standing.
 */
import type { ErrorView } from "../status/member-status.ts";
import type { MemberContext } from "./member-context.ts";
import { pause } from "./pause.ts";

export const STALL_LIMIT_MS = 30_000;
const LOOK_INTERVAL_MS = 2_000;

export type StallCode = "CAPTURE_STALLED" | "INTEGRATION_STALLED" | "SHIPPING_STALLED" | "WAL_NOT_SHORTENED";

/** A piece of work as it is seen from outside. */
export interface WatchedWork {
  readonly code: StallCode;
  readonly level: "error" | "warn";
  /** The database, or the follower, that it is for. */
  readonly subject: string;
  /** The database that its events are about. */
  readonly database: string | null;
  /** Whether there is something to do, and nothing that keeps it from being done is known. */
  readonly isDue: boolean;
  /** Another value whenever something was done. */
  readonly progress: string;
  /** What it may need in addition before any progress can be seen, milliseconds. */
  readonly allowanceMs: number;
  readonly message: string;
  readonly hint: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What is known of one piece of work between two looks. */
interface Watch {
  /** As it was at the last look; null when nothing was due. */
  readonly progress: string | null;
  /** How long it has stood still since then. */
  readonly stillMs: number;
  readonly stall: ErrorView | null;
}

export class Watchdog {
  readonly #context: MemberContext;
  readonly #work: () => readonly WatchedWork[];
  readonly #clockMs: () => number;
  #watches = new Map<string, Watch>();
  #lookedAtMs: number | null = null;

  /**
   * @param work everything there is to watch now; it must not wait for anything.
   * @param clockMs milliseconds that only grow, from any start.
   */
  constructor(context: MemberContext, work: () => readonly WatchedWork[], clockMs = () => performance.now()) {
    this.#context = context;
    this.#work = work;
    this.#clockMs = clockMs;
  }

  /** Watches until `stop` is aborted. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      this.look();
      await pause(LOOK_INTERVAL_MS, stop);
    }
    this.#watches.clear();
  }

  /** What is wrong, if it stands still. */
  stall(code: StallCode, subject: string): ErrorView | null {
    return this.#watches.get(keyOf({ code, subject }))?.stall ?? null;
  }

  /** Looks at all work once. */
  look(): void {
    const nowMs = this.#clockMs();
    // When it comes late, this process was stopped or busy: nothing could move meanwhile, and nothing is held against it.
    const elapsedMs = Math.min(nowMs - (this.#lookedAtMs ?? nowMs), 2 * LOOK_INTERVAL_MS);
    this.#lookedAtMs = nowMs;
    const watches = new Map<string, Watch>();
    for (const work of this.#work()) {
      const key = keyOf(work);
      watches.set(key, this.#judge(work, this.#watches.get(key), elapsedMs));
    }
    this.#watches = watches;
  }

  #judge(work: WatchedWork, before: Watch | undefined, elapsedMs: number): Watch {
    const { isDue, progress } = work;
    const stall = before?.stall ?? null;
    if (!isDue || before?.progress !== progress) {
      if (stall !== null) this.#clear(work);
      return { progress: isDue ? progress : null, stillMs: 0, stall: null };
    }
    const stillMs = before.stillMs + elapsedMs;
    if (stall !== null || stillMs < STALL_LIMIT_MS + work.allowanceMs) return { progress, stillMs, stall };
    return { progress, stillMs, stall: this.#raise(work) };
  }

  #raise({ code, level, database, message, hint, data }: WatchedWork): ErrorView {
    this.#context.event(level, code, database, message, { ...data });
    this.#context.changed();
    return { code, message, hint, since: new Date(this.#context.nowMs()).toISOString() };
  }

  #clear({ code, database, subject }: WatchedWork): void {
    this.#context.event("info", "RECOVERED", database, `${code} of ${subject} is over`);
    this.#context.changed();
  }
}

function keyOf({ code, subject }: Pick<WatchedWork, "code" | "subject">): string {
  return `${code} ${subject}`;
}

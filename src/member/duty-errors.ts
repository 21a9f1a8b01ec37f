import { AfterimageError } from "../errors.ts";
import { errorView } from "./error-view.ts";
import type { MemberContext } from "./member-context.ts";

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

/** Trying again would not help, and costs a comparison of every page: an operator has to look first. */
const HALTING = new Set(["MIRROR_INCONSISTENT", "INTEGRATION_CHECKSUM", "DIVERGED"]);

/** Whether work on a database with this error has stopped until an operator has looked. */
export function halts(code: string): boolean {
  return HALTING.has(code);
}

const SHORTAGES = new Set(["SPOOL_FULL", "DISK_LOW", "JOURNAL_FULL"]);

/** Whether something failed for want of space in the journal: nothing is wrong with the database. */
export function isShortage(error: unknown): boolean {
  return error instanceof AfterimageError && SHORTAGES.has(error.code);
}

/**
 * What went wrong with one database: kept in the state for status, raised once as an event, cleared once; and when the
 * next attempt is due, later with every failure, 30 s at most, or never for an error that halts.
 */
export class DutyErrors {
  readonly #context: MemberContext;
  readonly #database: string;
  #failures = 0;
  /** Whether the state may hold an error; at the start it may hold one of an earlier process. */
  #raised = true;
  #retryAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: MemberContext, database: string) {
    this.#context = context;
    this.#database = database;
  }

  /** Whether it is too early for another attempt. */
  get waiting(): boolean {
    return this.#context.nowMs() < this.#retryAtMs;
  }

  /** Makes the next attempt due at once; what halts stays halted. */
  retryNow(): void {
    if (this.#retryAtMs !== Number.POSITIVE_INFINITY) this.#retryAtMs = Number.NEGATIVE_INFINITY;
  }

  report(error: unknown): void {
    const { store } = this.#context;
    const nowMs = this.#context.nowMs();
    this.#raised = true;
    const view = errorView(error, nowMs);
    const backoffMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures++);
    this.#retryAtMs = halts(view.code) ? Number.POSITIVE_INFINITY : nowMs + backoffMs;
    if (view.code === "DIVERGED") this.#context.hooks.diverged(this.#database, { message: view.message });
    if (store.database(this.#database)?.error?.code === view.code) return;
    try {
      store.saveDatabase(this.#database, { error: view });
      this.#context.event("error", view.code, this.#database, view.message);
    } catch (cause) {
      // A full disk takes no report either; the daemon outlives it, and says so at the next attempt that can be recorded.
      this.#context.logger.error({ err: cause, database: this.#database, ...view }, "an error cannot be recorded");
    }
    this.#context.changed();
  }

  clear(): void {
    if (!this.#raised) return;
    const { store } = this.#context;
    this.#raised = false;
    this.#failures = 0;
    this.#retryAtMs = Number.NEGATIVE_INFINITY;
    const error = store.database(this.#database)?.error ?? null;
    if (error === null) return;
    store.saveDatabase(this.#database, { error: null });
    this.#context.event("info", "RECOVERED", this.#database, `${error.code} is over`);
    this.#context.changed();
  }
}

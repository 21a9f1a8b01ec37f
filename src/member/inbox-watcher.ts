/**
 * Watches an inbox, so that what arrives is integrated at once and not only at the next look.
 *
 * A watcher is a convenience: files that it does not report are found by looking. One that fails, or that says nothing of
 * what is found (a network file system; a directory that was removed and made anew), is reported once; the inbox is then
 * looked into more often, and the watcher is made anew after a while. Nothing has to be configured for that.
 */
import { type FSWatcher, watch } from "chokidar";
import type { MemberContext } from "./member-context.ts";
import type { Signal } from "./signal.ts";

/** The inbox is looked into this often even when the watcher says nothing. */
const SCAN_INTERVAL_MS = 2_000;
/** Without a watcher this is the delay of every segment. */
const POLL_INTERVAL_MS = 250;
const RETRY_MS = 60_000;
/** A file may be found just before its report comes; that it happens so often in a row is no chance. */
const SILENT_FINDS = 3;

export interface WatcherTimes {
  readonly retryMs: number;
}

export class InboxWatcher {
  readonly #context: MemberContext;
  readonly #database: string | null;
  readonly #directory: string;
  readonly #arrived: Signal;
  readonly #times: WatcherTimes;
  #watcher: FSWatcher | null = null;
  #ready = false;
  #heard = false;
  #silentFinds = 0;
  #reported = false;
  #retryAtMs = Number.NEGATIVE_INFINITY;

  /** @param inbox.database null for what is of no database. @param inbox.arrived set whenever a file has arrived. */
  constructor(
    context: MemberContext,
    inbox: { database: string | null; directory: string; arrived: Signal },
    times: WatcherTimes = { retryMs: RETRY_MS },
  ) {
    this.#context = context;
    this.#database = inbox.database;
    this.#directory = inbox.directory;
    this.#arrived = inbox.arrived;
    this.#times = times;
    this.#start();
  }

  /** How long to wait for a report before looking. */
  get intervalMs(): number {
    return this.#watcher === null ? POLL_INTERVAL_MS : SCAN_INTERVAL_MS;
  }

  /** To be told after every look, and how many files it found. */
  async looked(found: number): Promise<void> {
    if (this.#watcher === null) {
      if (this.#context.nowMs() >= this.#retryAtMs) this.#start();
      return;
    }
    if (found === 0 || !this.#ready) return;
    if (this.#heard) this.#hears();
    else if (++this.#silentFinds >= SILENT_FINDS) {
      await this.#giveUp("WATCHER_SILENT", "the inbox's watcher does not report what arrives");
    }
    this.#heard = false;
  }

  async close(): Promise<void> {
    const watcher = this.#watcher;
    this.#watcher = null;
    await watcher?.close();
  }

  #start(): void {
    const watcher = watch(this.#directory, { ignoreInitial: true, depth: 0, ignored: /\/\.[^/]*$/ });
    this.#watcher = watcher;
    this.#ready = false;
    this.#heard = false;
    this.#silentFinds = 0;
    watcher.on("ready", () => {
      this.#ready = true;
      // What came before it was ready is not reported.
      this.#arrived.set();
    });
    watcher.on("add", () => {
      this.#heard = true;
      this.#arrived.set();
    });
    watcher.on("error", (error) => {
      if (watcher !== this.#watcher) return;
      this.#giveUp("WATCHER_FAILED", `the inbox's watcher failed: ${String(error)}`).catch(() => undefined);
    });
  }

  #hears(): void {
    this.#silentFinds = 0;
    if (!this.#reported) return;
    this.#reported = false;
    this.#context.event("info", "WATCHER_BACK", this.#database, "the inbox's watcher reports what arrives again");
  }

  async #giveUp(code: string, message: string): Promise<void> {
    this.#retryAtMs = this.#context.nowMs() + this.#times.retryMs;
    if (!this.#reported) {
      this.#reported = true;
      const text = `${message}; the inbox is looked into every ${POLL_INTERVAL_MS} ms, and the watcher is made anew`;
      this.#context.event("warn", code, this.#database, text, { directory: this.#directory });
    }
    await this.close();
  }
}

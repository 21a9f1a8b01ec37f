/** When an operational database's WAL is copied into the database file so that it can begin again, and whether that works. */
import type { OperationalDatabase } from "../sqlite/operational-database.ts";
import type { MemberContext } from "./member-context.ts";

/** SQLite's own default. */
const CHECKPOINT_FRAMES = 1000;
const RETRY_MS = 250;
/** A read transaction that stands in the way is a long one. */
const RETRY_BESIDE_READERS_MS = 1_000;

export class WalShortener {
  readonly #context: MemberContext;
  #isHeld = false;
  #retryAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: MemberContext) {
    this.#context = context;
  }

  /** Whether the last attempt has failed. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Shortens the WAL when that is worth it and it is not too early for another attempt. `cut` is as {@link OperationalDatabase.checkpoint} wants it. */
  async attempt(database: OperationalDatabase, cut: () => Promise<void>): Promise<void> {
    const nowMs = this.#context.nowMs();
    if (!this.#isWorthIt(database)) this.forget();
    else if (nowMs >= this.#retryAtMs) {
      const outcome = await database.checkpoint(cut);
      this.#isHeld = outcome !== "done";
      // What was read under the write lock is in memory alone: should the machine be lost now, its WAL would not continue the journal.
      if (outcome === "done") await cut();
      if (this.#isHeld) this.#retryAtMs = nowMs + (outcome === "readers" ? RETRY_BESIDE_READERS_MS : RETRY_MS);
    }
  }

  /** There is nothing to shorten, or another WAL from now on. */
  forget(): void {
    this.#isHeld = false;
  }

  /** Enough of the WAL is cut; or what waits to be cut would not fit into one segment, so that there is no sense in waiting on. */
  #isWorthIt(database: OperationalDatabase): boolean {
    const { maxSegmentBytes } = this.#context.configuration.journal;
    return database.position.frame >= CHECKPOINT_FRAMES || database.walBytes >= maxSegmentBytes;
  }
}

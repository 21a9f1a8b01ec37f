/**
 * The run of this member's daemon, as it names itself in its status: by it, others can tell a state directory from its
 * copies and from what it was before it was set back.
 *
 * Guarantee: of the documents that this state has published, none has a higher beat of a run than the state says. A copy of
 * a state, or one that was set back, therefore meets a run that it does not know, or beats that it has never made.
 */
import { randomUUID } from "node:crypto";
import type { StateStore } from "../journal/state-store.ts";
import type { RunView } from "../status/member-status.ts";

/** Beats are allowed durably so many at a time: a write to the state for every heartbeat would be one too many. */
const RESERVED_BEATS = 100;

/**
 * What a sighting of this member says.
 * - `own`: this state has published it;
 * - `later`: made by this state's own copy, or by itself before it was set back, and this state does not know of it;
 * - `other`: by another state of the same member's name, or by a copy that ran and is behind.
 */
export type SightingKind = "own" | "later" | "other";

export class MemberRun {
  readonly #store: StateStore;
  #run: RunView | null = null;
  #reserved = 0;

  constructor(store: StateStore) {
    this.#store = store;
  }

  /** As it was published last; null when no daemon runs. */
  get view(): RunView | null {
    return this.#run;
  }

  /** Begins a run, which is known to the state before anybody sees it. @param atLeast of its number. */
  begin(atLeast = 1): void {
    const instance = this.#store.identity.stateId;
    const { start, session } = this.#store.transaction(() => this.#store.runs.begin(randomUUID(), atLeast));
    this.#run = { instance, start, session, beat: 0 };
    this.#reserved = 0;
  }

  /** For the next document. @throws Error when no run has begun. */
  next(): RunView {
    if (this.#run === null) throw new Error("no run has begun");
    const beat = this.#run.beat + 1;
    if (beat > this.#reserved) {
      this.#reserved = beat + RESERVED_BEATS;
      this.#store.runs.reserve(this.#run.session, this.#reserved);
    }
    this.#run = { ...this.#run, beat };
    return this.#run;
  }

  judge(seen: RunView): SightingKind {
    const own = this.#run;
    if (own === null || seen.instance !== own.instance) return "other";
    if (seen.session === own.session) return seen.beat > own.beat ? "later" : "own";
    const known = this.#store.runs.find(seen.session);
    if (known !== null) return seen.beat > known.beats ? "later" : "own";
    return seen.start >= own.start ? "later" : "other";
  }
}

/** Which run of every other member this one has seen last; it publishes them, so that who was copied or set back finds out. */
import type { StateStore } from "../journal/state-store.ts";
import type { RunView } from "../status/member-status.ts";

export class Sightings {
  readonly #store: StateStore;
  readonly #seen: Map<string, RunView>;

  constructor(store: StateStore) {
    this.#store = store;
    this.#seen = new Map(store.runs.sightings());
  }

  /**
   * Takes in what a member's status says. A state that was set back, or a copy, does not undo what was seen before: who
   * comes second with a number is to learn of the first.
   */
  saw(member: string, run: RunView | null | undefined): void {
    if (run == null) return;
    const last = this.#seen.get(member);
    if (last?.instance === run.instance && isOlder(run, last)) return;
    this.#seen.set(member, run);
    if (last?.session !== run.session) this.#store.runs.saveSighting(member, run);
  }

  view(): Record<string, RunView> {
    return Object.fromEntries(this.#seen);
  }
}

function isOlder(run: RunView, than: RunView): boolean {
  return run.session === than.session ? run.beat < than.beat : run.start <= than.start;
}

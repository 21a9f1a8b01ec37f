import type { MemberContext } from "./member-context.ts";

const ADDED = "DATABASE_ADDED";
const REMOVED = "DATABASE_REMOVED";

/** As many as the state keeps. */
const EVENTS_LOOKED_AT = 10_000;

/** Tells operators which databases came and went, each change once, also when it is found again after a restart. */
export class DatabaseNotes {
  readonly #context: MemberContext;
  /** Said since the start. */
  readonly #added = new Set<string>();
  readonly #removed = new Set<string>();

  constructor(context: MemberContext) {
    this.#context = context;
    for (const { code, database } of context.store.events({ limit: EVENTS_LOOKED_AT })) {
      if (database === null) continue;
      if (code === REMOVED) this.#removed.add(database);
      else if (code === ADDED) this.#removed.delete(database);
    }
  }

  /** Whether the last that was said of it is that it went. */
  isRemoved(database: string): boolean {
    return this.#removed.has(database);
  }

  /** Nothing happens when it was said already. */
  added(database: string, path: string): void {
    if (this.#added.has(database)) return;
    this.#added.add(database);
    this.#removed.delete(database);
    this.#context.event("info", ADDED, database, "there is a new database, or an earlier one again", { path });
  }

  /** @param message where what is left of it is. Nothing happens when it was said already. */
  removed(database: string, message: string): void {
    if (this.#removed.has(database)) return;
    this.#removed.add(database);
    this.#added.delete(database);
    this.#context.event("info", REMOVED, database, message);
  }
}

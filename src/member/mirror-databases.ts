/**
 * The databases of a mirror: those that its configuration names, and of those that its patterns match what its upstream
 * lists, what it holds already, and what lies in its inbox.
 *
 * Guarantee: what was received is integrated before a database is let go of, and only an upstream that lives, and follows
 * one that lives, is believed that it has a database no longer. Nothing is deleted.
 */
import { configuredPath, type DatabaseSet } from "../config/database-pattern.ts";
import { databaseNameFault } from "../config/names.ts";
import type { MemberState } from "../status/member-status.ts";
import type { DatabaseNotes } from "./database-notes.ts";
import { inboxNames, isEmptyInbox } from "./inbox-directory.ts";
import type { MemberContext } from "./member-context.ts";
import type { MirrorDuty } from "./mirror-duty.ts";
import type { Peer } from "./peer.ts";

/** States in which a member may not know all databases of its upstream, or is not there. */
const INCOMPLETE: readonly MemberState[] = ["waiting", "down", "unknown"];

interface MirrorSource {
  upstream(): Peer | null;
  readonly duties: ReadonlyMap<string, MirrorDuty>;
  readonly notes: DatabaseNotes;
}

export class MirrorDatabases {
  readonly #context: MemberContext;
  readonly #source: MirrorSource;
  #isFirstLook = true;

  constructor(context: MemberContext, source: MirrorSource) {
    this.#context = context;
    this.#source = source;
  }

  /** The database files that are to be served now, by name. */
  find(set: DatabaseSet): Map<string, string> {
    const found = new Map(set.databases);
    if (set.databasePatterns.length === 0) return found;
    const { duties, notes } = this.#source;
    const upstream = this.#source.upstream();
    const { status } = upstream ?? { status: null };
    const listed = new Set(Object.keys(status?.databases ?? {}));
    const isDecisive = upstream?.alive === true && status !== null && !INCOMPLETE.includes(status.state);
    const add = (name: string): void => {
      const path = configuredPath(set, name);
      if (path !== null && databaseNameFault(name) === null && !found.has(name)) found.set(name, path);
    };
    for (const name of listed) {
      add(name);
      const path = found.get(name);
      if (path !== undefined && notes.isRemoved(name)) notes.added(name, path);
    }
    for (const name of this.#known()) {
      const path = found.has(name) ? null : configuredPath(set, name);
      if (path === null) continue;
      if (isDecisive) notes.removed(name, `the upstream has it no longer; the copy is kept: ${path}`);
      if (!isDecisive || duties.get(name)?.isDone === false) add(name);
    }
    for (const name of this.#withArrivals(found)) add(name);
    return found;
  }

  /** What is served; at the start, what was. */
  #known(): string[] {
    const { databases, store } = this.#context;
    if (!this.#isFirstLook) return [...databases.keys()];
    this.#isFirstLook = false;
    return store.databaseNames().filter((name) => {
      const { received, integrated } = store.database(name) ?? {};
      return !this.#source.notes.isRemoved(name) || received?.txid !== integrated?.txid;
    });
  }

  /** What the upstream still sent of a database that it lists no longer. */
  #withArrivals(found: ReadonlyMap<string, string>): string[] {
    const names = inboxNames(this.#context).filter((name) => databaseNameFault(name) === null && !found.has(name));
    return names.filter((name) => !isEmptyInbox(this.#context, name));
  }
}

/** The context of a running member: what a reload, databases that come and go, and a change of role replace is always as it is now. */
import { join } from "node:path";
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import { Journal } from "../journal/journal.ts";
import { Tally } from "../metrics/tally.ts";
import { JournalSpace } from "./journal-space.ts";
import { LongWork } from "./long-work.ts";
import type { MemberContext } from "./member-context.ts";
import type { MemberHooks } from "./member-hooks.ts";
import type { DatabaseDuty, MemberRoles } from "./member-roles.ts";

/** What a reload, or databases that come and go, replace. */
export interface Live {
  configuration: Configuration;
  self: MemberConfiguration;
  databases: ReadonlyMap<string, string>;
  journals: readonly string[];
  duty: DatabaseDuty;
  epoch: number;
}

type Fixed = Pick<
  MemberContext,
  | "store"
  | "logger"
  | "nowMs"
  | "databaseMissing"
  | "isRemoved"
  | "changed"
  | "journalGrew"
  | "event"
  | "steps"
  | "overseer"
>;

interface Parts extends Fixed {
  readonly roles: MemberRoles;
  /** They are made after the context. */
  hooks(): MemberHooks;
}

export function liveContext(live: Live, { roles, hooks, ...fixed }: Parts): MemberContext {
  const { store } = fixed;
  const directory = join(live.self.state, "journal");
  const space = new JournalSpace({
    directory,
    store,
    get configuration() {
      return live.configuration.journal;
    },
    get databases() {
      return live.databases;
    },
  });
  return {
    ...fixed,
    journal: new Journal(directory, store.catalogue),
    space,
    tally: new Tally(),
    work: new LongWork(fixed),
    journals: () => live.journals,
    get configuration() {
      return live.configuration;
    },
    get self() {
      return live.self;
    },
    get databases() {
      return live.databases;
    },
    get role() {
      return roles.role;
    },
    get epoch() {
      return roles.epoch;
    },
    get history() {
      return roles.history;
    },
    get hooks() {
      return hooks();
    },
  };
}

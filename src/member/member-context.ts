import type { Logger } from "pino";
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import type { EventLevel } from "../journal/event-log.ts";
import type { Journal } from "../journal/journal.ts";
import type { StateStore } from "../journal/state-store.ts";
import type { Tally } from "../metrics/tally.ts";
import type { Overseer } from "../overseer/overseer.ts";
import type { EpochHistory } from "../roles/epoch-history.ts";
import type { MemberRole } from "../status/member-status.ts";
import type { JournalSpace } from "./journal-space.ts";
import type { LongWork } from "./long-work.ts";
import type { MemberHooks } from "./member-hooks.ts";
import type { RunbookSteps } from "./runbook-steps.ts";

/** What every part of a member works with. */
export interface MemberContext {
  /** As it is now: a reload replaces it. */
  readonly configuration: Configuration;
  /** This member's part of it. */
  readonly self: MemberConfiguration;
  /** Files of the databases that are served now, by name. */
  readonly databases: ReadonlyMap<string, string>;
  readonly role: MemberRole;
  /** The epoch that this member reigns in, or follows. */
  readonly epoch: number;
  /** The epochs that this member knows of. */
  readonly history: EpochHistory;
  readonly store: StateStore;
  readonly journal: Journal;
  readonly space: JournalSpace;
  readonly logger: Logger;
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number;
  /** Something that status shows has changed: the status document is written again soon. */
  changed(): void;
  /** Every database that has a journal here, also those that are served no longer. */
  journals(): readonly string[];
  /** A database's file is not where it was: it may have been removed. */
  databaseMissing(): void;
  /** Whether the file of a database, that only a pattern names, was removed: then it is about to be let go of. */
  isRemoved(database: string): boolean;
  /** There are new segments in a database's journal. */
  journalGrew(database: string): void;
  /** The user's programs. */
  readonly hooks: MemberHooks;
  /** What commands that change roles have done. */
  readonly steps: RunbookSteps;
  /** What takes a while. */
  readonly work: LongWork;
  /** Who is told how the daemon is. */
  readonly overseer: Overseer;
  /** Counted for metrics. */
  readonly tally: Tally;
  /** Keeps an event in the state database and logs it. */
  event(
    level: EventLevel,
    code: string,
    database: string | null,
    message: string,
    data?: Record<string, unknown>,
  ): void;
}

import type { Logger } from "pino";
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import type { EventLevel } from "../journal/event-log.ts";
import type { Journal } from "../journal/journal.ts";
import type { StateStore } from "../journal/state-store.ts";
import type { MemberRole } from "../status/member-status.ts";
import type { JournalSpace } from "./journal-space.ts";

/** What every part of a member works with. */
export interface MemberContext {
  readonly configuration: Configuration;
  readonly self: MemberConfiguration;
  readonly role: MemberRole;
  readonly epoch: number;
  readonly store: StateStore;
  readonly journal: Journal;
  readonly space: JournalSpace;
  readonly logger: Logger;
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number;
  /** Something that status shows has changed: the status document is written again soon. */
  changed(): void;
  /** There are new segments in a database's journal. */
  journalGrew(database: string): void;
  /** Keeps an event in the state database and logs it. */
  event(
    level: EventLevel,
    code: string,
    database: string | null,
    message: string,
    data?: Record<string, unknown>,
  ): void;
}

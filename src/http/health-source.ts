/** What the HTTP server needs of a member. */
import type { MemberStatus } from "../status/member-status.ts";

/** What a health check is decided by. */
export interface HealthFacts {
  /** The member's own. */
  readonly status: MemberStatus;
  /** What this member is to its databases; `fenced`: nothing, they are fenced, or about to be. */
  readonly serves: "operational" | "mirror" | "fenced";
  /** Whether applications may write to it, by database. */
  readonly writable: ReadonlyMap<string, boolean>;
  /** Databases whose copies nobody should read: they are not what the operational database was at any time. */
  readonly inconsistent: ReadonlySet<string>;
}

/** None of it waits for another machine or writes anything. */
export interface HealthSource {
  health(): HealthFacts;
  /** Every member as it is known here, this one too. */
  members(): readonly MemberStatus[];
  /** In the text format of Prometheus. */
  metrics(options: { readonly databases: "each" | "none" }): Promise<string>;
}

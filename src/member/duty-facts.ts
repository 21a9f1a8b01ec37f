/** What status shows of each database, as far as only its running duty knows it. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { isPartName } from "../durable-files.ts";
import type { DeepVerification } from "./deep-verification.ts";
import { entriesOf } from "./inbox-entries.ts";
import type { IntegrationControl } from "./integration-control.ts";
import type { MemberContext } from "./member-context.ts";
import type { DatabaseDuty } from "./member-roles.ts";
import type { MirrorDuty } from "./mirror-duty.ts";
import type { OperationalDuty } from "./operational-duty.ts";
import type { Peer } from "./peer.ts";
import type { DutyFacts } from "./status-builder.ts";

type Receiving = NonNullable<DutyFacts["receiving"]>;

interface Duties {
  readonly context: MemberContext;
  readonly duty: DatabaseDuty;
  readonly operational: ReadonlyMap<string, OperationalDuty>;
  readonly mirrors: ReadonlyMap<string, MirrorDuty>;
  readonly integration: IntegrationControl;
  readonly deep: DeepVerification;
  readonly upstream: Peer | null;
}

export function dutyFacts(duties: Duties): Map<string, DutyFacts> {
  const { context, duty, operational, mirrors, integration, deep } = duties;
  const facts = new Map<string, DutyFacts>();
  if (duty === "none") {
    for (const name of context.databases.keys()) facts.set(name, { fenced: true, walBytes: null, wants: null });
  }
  for (const [name, { fenced, walBytes }] of operational) facts.set(name, { fenced, walBytes, wants: null });
  for (const [name, { walBytes, heldBy, hold, progress, resync, inbox }] of mirrors) {
    const { paused } = integration.order(name);
    const { count: quarantined } = inbox.quarantine;
    const verificationAsked = deep.asked(name);
    const asks = { wants: inbox.wants(), resync, verificationAsked };
    const isBeginning = resync !== null || context.store.database(name)?.integrated == null;
    const receiving = isBeginning ? arriving(duties, name, inbox.directory) : null;
    facts.set(name, { fenced: true, walBytes, ...asks, receiving, heldBy, paused, hold, progress, quarantined });
  }
  return facts;
}

/** How much has come of the file that is on its way, as far as its temporary file tells, and of how much. */
function arriving({ context, upstream }: Duties, database: string, directory: string): Receiving | null {
  const sizes = entriesOf(directory)
    .filter(isPartName)
    .map((name) => statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0);
  if (sizes.length === 0) return null;
  const total = upstream?.status?.followers[context.self.name]?.databases[database]?.sending ?? null;
  return { bytes: Math.max(...sizes), total };
}

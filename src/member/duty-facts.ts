/** What status shows of each database, as far as only its running duty knows it. */
import type { DeepVerification } from "./deep-verification.ts";
import type { IntegrationControl } from "./integration-control.ts";
import type { MemberContext } from "./member-context.ts";
import type { DatabaseDuty } from "./member-roles.ts";
import type { MirrorDuty } from "./mirror-duty.ts";
import type { OperationalDuty } from "./operational-duty.ts";
import type { DutyFacts } from "./status-builder.ts";

interface Duties {
  readonly context: MemberContext;
  readonly duty: DatabaseDuty;
  readonly operational: ReadonlyMap<string, OperationalDuty>;
  readonly mirrors: ReadonlyMap<string, MirrorDuty>;
  readonly integration: IntegrationControl;
  readonly deep: DeepVerification;
}

export function dutyFacts({ context, duty, operational, mirrors, integration, deep }: Duties): Map<string, DutyFacts> {
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
    facts.set(name, { fenced: true, walBytes, ...asks, heldBy, paused, hold, progress, quarantined });
  }
  return facts;
}

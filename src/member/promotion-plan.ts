/** What a promotion would do now, and what it would lose: `afterimage promote --dry-run`. Changes nothing. */
import type { HookEvent } from "../config/configuration.ts";
import { knownRoles } from "./known-roles.ts";
import type { Member } from "./member.ts";
import type { PromoteResult } from "./member-control.ts";
import { MemberError } from "./member-error.ts";
import { type PossibleLoss, possibleLosses } from "./possible-losses.ts";
import { promotionChecks, type ReadinessFacts } from "./readiness.ts";

/**
 * @param epoch that would begin.
 * @param databases what was received last of each.
 * @throws MemberError PROMOTION_INCOMPLETE when something keeps what was received from being integrated.
 */
export async function planPromotion(
  member: Member,
  { epoch, databases }: Pick<PromoteResult, "epoch" | "databases">,
): Promise<PromoteResult> {
  const { context, roles } = member;
  const { name } = context.self;
  const status = await member.status();
  const others = status.members.filter((each) => each.member !== name && each.member !== roles.operational);
  const reigning = status.members.find((each) => each.member === roles.operational && each.role !== null) ?? null;
  const facts: ReadinessFacts = { target: member.ownStatus(), operational: reigning, others, integratesLate: false };
  assertComplete(facts);
  const untold = status.members.filter((each) => each.member !== name && !each.reachable).map((each) => each.member);
  const losses = possibleLosses(facts, context.nowMs());
  return {
    ...{
      member: name,
      epoch,
      from: roles.operational,
      dryRun: true,
      steps: stepsOf(member, { epoch, losses, untold }),
    },
    ...{ databases, losses, collected: [], untold, roles: knownRoles(status) },
  };
}

/** What others have received more is collected first, and is no reason to refuse. */
function assertComplete(facts: ReadinessFacts): void {
  const fault = promotionChecks({ ...facts, others: [] }).find(({ level }) => level === "FAIL");
  if (fault === undefined) return;
  throw new MemberError("PROMOTION_INCOMPLETE", `${fault.check}: ${fault.message}`, {
    hint: fault.hint ?? "See `afterimage status`.",
  });
}

function stepsOf(
  { context, peers }: Member,
  { epoch, losses, untold }: { epoch: number; losses: readonly PossibleLoss[]; untold: readonly string[] },
): string[] {
  const { hooks } = context.self;
  const run = (event: HookEvent, verb: string) =>
    hooks[event] === undefined ? [] : [`${verb} the hook ${event}: ${hooks[event]}`];
  const told = [...peers.keys()].filter((name) => !untold.includes(name));
  return [
    ...losses.flatMap(({ database, ahead }) =>
      ahead.map(({ member, transactions }) => `get ${transactions} transactions of ${database} from ${member}`),
    ),
    ...run("beforePromote", "ask"),
    "integrate everything that was received",
    `begin epoch ${epoch} where the databases end then`,
    `make ${[...context.databases.keys()].join(", ")} writable for applications`,
    ...run("afterPromote", "run"),
    ...run("roleChanged", "run"),
    `tell ${told.join(", ") || "nobody"}${untold.length === 0 ? "" : `; not ${untold.join(", ")}, which cannot be reached`}`,
  ];
}

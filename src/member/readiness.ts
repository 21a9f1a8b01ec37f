/**
 * Whether a member is ready to take over, by what the members say of themselves: the checks before a switchover and before a
 * promotion. Pure functions; a check that fails is a reason to refuse.
 */
import type { DatabaseStatus, HoldView, MemberStatus } from "../status/member-status.ts";
import { type CheckResult, failure, ok, warning } from "./check-result.ts";
import { type ClockReading, checkClock } from "./heartbeat-clock.ts";
import { type LossFacts, possibleLosses } from "./possible-losses.ts";

/** A copy that is further behind takes a while to be brought forward. */
const LAG_LIMIT_S = 60;
/** Below so many times the least the journal will soon give up history. */
const NEAR = 2;
const GIB = 2 ** 30;
const DEMOTED = "DEMOTED";
const WAIT = "Wait until it has integrated its first snapshot: see `afterimage status`.";
const SEE_STATUS = "See `afterimage status`.";

/** `operational running`: it could be promoted, and while the operational member lives it is not, but by force. */
export const PROMOTION_READINESS = ["yes", "no", "operational running"] as const;
export type PromotionReadiness = (typeof PROMOTION_READINESS)[number];

/** What a check is about: which refusal it is. */
export type Concern =
  | "role"
  | "type"
  | "daemon"
  | "operational"
  | "mailbox"
  | "epoch"
  /** An error of a member or of a database, a hook that cannot be run, want of space. */
  | "error"
  | "clock"
  /** A database that is not there, or has no state yet. */
  | "databases"
  /** Integration is held back. */
  | "held"
  /** By hand, on the operational member. */
  | "fenced"
  /** How far a copy is behind, and who has more. */
  | "behind"
  | "told";

export interface ReadinessCheck extends CheckResult {
  readonly concern: Concern;
}

export interface ReadinessFacts extends LossFacts {
  /** Whether the target integrates late on purpose, by its `delay` or its schedule. */
  readonly integratesLate: boolean;
  /** By member, where its heartbeat was awaited. */
  readonly clocks?: ReadonlyMap<string, ClockReading>;
}

/** Whether nothing is a reason to refuse. */
export function isReady(checks: readonly CheckResult[]): boolean {
  return checks.every(({ level }) => level !== "FAIL");
}

/** Whether a member gave its role up, and knows of nobody who has taken it. */
export function isDemoted({ errors }: Pick<MemberStatus, "errors">): boolean {
  return errors.some(({ code }) => code === DEMOTED);
}

/** Before the operational member hands over to the target. */
export function switchoverChecks(facts: ReadinessFacts): ReadinessCheck[] {
  const { target, operational, integratesLate } = facts;
  const demoted = "it gave its role up";
  const given = failure(
    `role of ${target.member}`,
    demoted,
    "Run `afterimage promote` on the member that is to take over.",
  );
  const late = failure(
    `integration of ${target.member}`,
    "it integrates late on purpose, by its `delay` or its schedule",
    "Take that out of its configuration, and run `afterimage reload` there.",
  );
  return [
    about("role", isDemoted(target) ? given : roleCheck(target)),
    about("type", typeCheck(target)),
    ...(integratesLate ? [about("held", late)] : []),
    about("daemon", alive(target)),
    ...(operational === null || isDemoted(operational)
      ? [about("operational", noOperational(operational))]
      : handingOver(operational, target)),
    about("epoch", epoch(facts)),
    ...memberChecks(facts),
    ...Object.keys((operational ?? target).databases).flatMap((name) => copyChecks(name, facts, "FAIL")),
  ];
}

/** Before the target takes over from an operational member that is lost. What is held back by a delay is integrated then. */
export function promotionChecks(facts: ReadinessFacts): ReadinessCheck[] {
  const { target, others } = facts;
  const given = ok(`role of ${target.member}`, "it gave its role up, and may have it again");
  const names = Object.keys(target.databases);
  return [
    about("role", isDemoted(target) ? given : roleCheck(target)),
    about("type", typeCheck(target)),
    ...memberChecks(facts),
    ...(names.length === 0 ? [about("databases", failure("databases", `${target.member} has none yet`, WAIT))] : []),
    ...names.flatMap((name) => copyChecks(name, facts, "WARN")),
    ...aheadChecks(facts),
    about("told", othersTold(others)),
  ];
}

function about(concern: Concern, result: CheckResult): ReadinessCheck {
  return { ...result, concern };
}

function typeCheck({ member, type }: MemberStatus): CheckResult {
  const check = `type of ${member}`;
  if (type !== "reporting") return ok(check, type);
  return failure(check, "reporting, which never takes over", "Name a member of type failover or dr.");
}

function roleCheck({ member, role, state }: MemberStatus): CheckResult {
  const check = `role of ${member}`;
  if (role === "operational") return failure(check, "it is operational already", "Name a mirror.");
  if (role === null) return failure(check, "nothing is known of it", `Start its daemon, or run this on ${member}.`);
  if (state === "fenced") return failure(check, "it serves nothing, and follows nobody", "See docs/STATES.md.");
  return ok(check, "a mirror that follows");
}

function alive({ member, reachable, state }: MemberStatus): CheckResult {
  const check = `daemon of ${member}`;
  if (reachable) return ok(check, "it runs");
  return failure(
    check,
    state === "unknown" ? "its mailbox cannot be read" : "it does not run, or cannot be reached",
    `Start it: \`afterimage run --node ${member}\` on that machine.`,
  );
}

function noOperational(demoted: MemberStatus | null): CheckResult {
  const check = "operational member";
  const hint = "`afterimage whois-operational` looks at everything that is within reach.";
  if (demoted === null) return failure(check, "nothing is known of who is operational", hint);
  return failure(
    check,
    `${demoted.member} gave its role up: nobody can hand over`,
    "Run `afterimage promote` instead.",
  );
}

function handingOver(operational: MemberStatus, target: MemberStatus): ReadinessCheck[] {
  const { member, databases } = operational;
  const own = Object.entries(databases).flatMap(([name, { error, received, fenced }]) => {
    const check = `database ${name} of ${member}`;
    return [
      ...(error === null ? [] : [about("error", failure(check, `${error.code}: ${error.message}`, error.hint))]),
      ...(received === null
        ? [about("databases", failure(check, "its journal has not begun yet", "Wait until it has."))]
        : []),
      ...(fenced
        ? [about("fenced", failure(check, "it was fenced by hand", "End that first, with `afterimage unfence`."))]
        : []),
    ];
  });
  return [about("operational", alive(operational)), about("mailbox", mailbox(operational, target)), ...own];
}

/** Whether the operational member can put what the target needs into the first mailbox on the way to it. */
function mailbox({ member, followers }: MemberStatus, target: MemberStatus): CheckResult {
  const check = `mailbox of ${target.member}`;
  const follower = followers[target.member];
  if (follower === undefined)
    return failure(check, `${member} has not heard of it yet`, `Wait a moment. ${SEE_STATUS}`);
  const hop = follower.via === null ? follower : (followers[follower.via] ?? follower);
  const { error, reachable } = hop;
  if (error !== null) return failure(check, `${member} cannot ship to it: ${error.code}: ${error.message}`, error.hint);
  if (!reachable) return failure(check, `${member} does not reach it`, "See `afterimage doctor` there.");
  return ok(check, follower.via === null ? `${member} ships to it` : `it gets its segments through ${follower.via}`);
}

function epoch({ target, operational }: ReadinessFacts): CheckResult {
  const [known, reigning] = [target.epoch, operational?.epoch ?? null];
  if (known !== null && (reigning === null || known === reigning)) return ok("epoch", `${known}`);
  const message = `${target.member} knows of epoch ${known ?? "none"}, ${operational?.member ?? "nobody"} of ${reigning ?? "none"}`;
  return failure(
    "epoch",
    message,
    "They tell each other within half a minute; if not, see `afterimage history` on both.",
  );
}

function memberChecks({ target, operational, clocks }: ReadinessFacts): ReadinessCheck[] {
  const { member, errors, hookFaults = [] } = target;
  const found = errors
    .filter(({ code }) => code !== DEMOTED)
    .map(({ code, message, hint }) => failure(`state of ${member}`, `${code}: ${message}`, hint));
  const hooks = hookFaults.map((fault) =>
    failure(`hooks of ${member}`, fault, "Correct it: it would fail when it is needed."),
  );
  const judged = [operational, target].flatMap((each) => {
    const reading = each === null ? undefined : clocks?.get(each.member);
    return each === null || reading === undefined ? [] : [checkClock(`clock of ${each.member}`, reading)];
  });
  return [
    ...(found.length === 0 ? [ok(`state of ${member}`, "no errors")] : found).map((each) => about("error", each)),
    ...(hooks.length === 0 ? [ok(`hooks of ${member}`, "every program can be run")] : hooks).map((each) =>
      about("error", each),
    ),
    about("error", freeSpace(target)),
    ...judged.map((each) => about("clock", each)),
  ];
}

function freeSpace({ member, journal }: MemberStatus): CheckResult {
  const check = `free space of ${member}`;
  if (journal === null) return warning(check, "not known", `Run \`afterimage doctor\` on ${member}.`);
  const { freeBytes, minFreeBytes, shortages } = journal;
  const text = `${gibibytes(freeBytes)} free for its journal, ${gibibytes(minFreeBytes)} must stay free`;
  const hint = "Free some space on that file system.";
  if (shortages.length > 0) return failure(check, `${shortages.join(", ")}: ${text}`, hint);
  if (freeBytes < minFreeBytes) return failure(check, text, hint);
  return freeBytes < NEAR * minFreeBytes ? warning(check, `${text}: it is near the limit`, hint) : ok(check, text);
}

/** @param late what it means that something is held back which a promotion integrates, or waits for. */
function copyChecks(name: string, { target, operational }: ReadinessFacts, late: "FAIL" | "WARN"): ReadinessCheck[] {
  const check = `database ${name}`;
  const copy = target.databases[name];
  if (copy === undefined) {
    const message = `${operational?.member ?? "the operational member"} has it, and ${target.member} has not`;
    const hint = "Add it to the configuration of that member, or choose another one.";
    return [about("databases", failure(check, message, hint))];
  }
  if (copy.integrated === null)
    return [about("databases", failure(check, `${target.member} has no first state of it yet`, WAIT))];
  const faults = [...errorsOf(check, copy), ...heldBack(check, copy, late)];
  if (faults.length > 0) return faults;
  if (copy.lagTransactions === 0) return [about("behind", ok(check, "at the end of the journal"))];
  const lag = `${copy.lagTransactions ?? "some"} transactions, ${Math.round(copy.lagSeconds ?? 0)} s behind`;
  const hint = `It has to be brought forward first, which takes a while. ${SEE_STATUS}`;
  return [about("behind", (copy.lagSeconds ?? 0) <= LAG_LIMIT_S ? ok(check, lag) : warning(check, lag, hint))];
}

function errorsOf(check: string, { error, resync, quarantined, warnings }: DatabaseStatus): ReadinessCheck[] {
  return [
    ...(error === null ? [] : [failure(check, `${error.code}: ${error.message}`, error.hint)]),
    ...(resync == null ? [] : [failure(check, "the copy is being made equal to its upstream's", "Wait until it is.")]),
    ...warnings.map(({ code, message, hint }) => warning(check, `${code}: ${message}`, hint ?? SEE_STATUS)),
    ...(quarantined === 0
      ? []
      : [warning(check, `${quarantined} refused files are in quarantine`, "Look into them, and remove them.")]),
  ].map((each) => about("error", each));
}

/** What an operator has ordered stays; a delay and a schedule are left out by a promotion, and a backup is waited for. */
function heldBack(check: string, { hold, heldBy, paused }: DatabaseStatus, late: "FAIL" | "WARN"): ReadinessCheck[] {
  const lasting = (message: string) => [about("held", failure(check, message, "End it with `afterimage resume`."))];
  const passing = (message: string, hint: string) => [
    about("held", late === "FAIL" ? failure(check, message, hint) : warning(check, message, hint)),
  ];
  if (hold !== null && isOrdered(hold)) return lasting(hold.message);
  if (paused) return lasting("integration is paused");
  if (hold !== null) return passing(hold.message, "Integrate what waits first, with `afterimage integrate --now`.");
  return heldBy === null ? [] : passing(`integration waits for ${heldBy}`, "Wait until it has ended.");
}

function isOrdered({ by }: HoldView): boolean {
  return by !== "delay" && by !== "window";
}

/** A promotion gets from others what they have received more, if they can be reached. */
function aheadChecks(facts: ReadinessFacts): ReadinessCheck[] {
  const { target, others } = facts;
  return possibleLosses(facts, 0).flatMap(({ database, ahead }) =>
    ahead.map(({ member, transactions }) => {
      const check = `database ${database}`;
      const more = `${member} has received ${transactions} transactions more`;
      const isThere = others.some((other) => other.member === member && other.reachable);
      const result = isThere
        ? warning(check, `${more}, which are fetched first`, `Promoting ${member} would be faster.`)
        : failure(check, more, `Start its daemon, promote ${member}, or let ${target.member} have them first.`);
      return about("behind", result);
    }),
  );
}

function othersTold(others: readonly MemberStatus[]): CheckResult {
  const unreachable = others.filter(({ reachable }) => !reachable).map(({ member }) => member);
  if (unreachable.length === 0) return ok("other members", "all of them can be told");
  return warning(
    "other members",
    `${unreachable.join(", ")} cannot be told at once`,
    "None of them may be started where it cannot reach the others.",
  );
}

function gibibytes(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}

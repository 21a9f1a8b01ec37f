/**
 * Whether a member is ready to take over, by what the members say of themselves: the checks before a switchover and before a
 * promotion, and what a promotion would lose. Pure functions; a check that fails is a reason to refuse.
 */
import type { DatabaseStatus, HoldView, MemberStatus, PositionView } from "../status/member-status.ts";
import { type CheckResult, failure, ok, warning } from "./check-result.ts";
import { type ClockReading, clockOffset, describeClock } from "./heartbeat-clock.ts";

/** Ages that are shown to people mean little beyond this. */
const CLOCK_LIMIT_MS = 30_000;
/** A copy that is further behind takes a while to be brought forward. */
const LAG_LIMIT_S = 60;
/** Below so many times the least the journal will soon give up history. */
const NEAR = 2;
const GIB = 2 ** 30;
const DEMOTED = "DEMOTED";

/** `operational running`: it could be promoted, and while the operational member lives it is not, but by force. */
export const PROMOTION_READINESS = ["yes", "no", "operational running"] as const;
export type PromotionReadiness = (typeof PROMOTION_READINESS)[number];

export interface ReadinessFacts {
  /** The member that is to take over. */
  readonly target: MemberStatus;
  /** Who reigns in the newest epoch; null when its status is not known. */
  readonly operational: MemberStatus | null;
  /** All the rest. */
  readonly others: readonly MemberStatus[];
  /** By member, where its heartbeat was awaited. */
  readonly clocks?: ReadonlyMap<string, ClockReading>;
}

/** What a promotion would lose of one database, as far as is known: what was never cut into a segment is not. */
export interface PossibleLoss {
  readonly database: string;
  /** `epoch:txid:checksum` of what the member has; null when it has nothing. */
  readonly received: string | null;
  /** When that was cut, ISO 8601 by the operational member's clock; null when not known. */
  readonly time: string | null;
  /** Since then, by this machine's clock. */
  readonly ageSeconds: number | null;
  /** Transactions that are known of and that the member has not; null when nothing is known of the operational member's. */
  readonly transactions: number | null;
  /** From the end of what it has to the end that is known, on the operational member's clock; null when not known. */
  readonly seconds: number | null;
  /** Other mirrors that have more, and by how many transactions. */
  readonly ahead: readonly { readonly member: string; readonly transactions: number }[];
}

/** Whether nothing is a reason to refuse. */
export function isReady(checks: readonly CheckResult[]): boolean {
  return checks.every(({ level }) => level !== "FAIL");
}

/** Before the operational member hands over to the target. */
export function switchoverChecks(facts: ReadinessFacts): CheckResult[] {
  const { target, operational } = facts;
  const names = Object.keys(operational?.databases ?? target.databases);
  const role = isDemoted(target)
    ? failure(
        `role of ${target.member}`,
        "it gave its role up",
        "Run `afterimage promote` on the member that is to take over.",
      )
    : roleCheck(target);
  return [
    role,
    typeCheck(target),
    alive(target),
    ...(operational === null || isDemoted(operational)
      ? [noOperational(operational)]
      : [alive(operational), mailbox(operational, target)]),
    epoch(facts),
    ...memberChecks(facts),
    ...names.flatMap((name) => databaseChecks(name, facts)),
  ];
}

/** Before the target takes over from an operational member that is lost. */
export function promotionChecks(facts: ReadinessFacts): CheckResult[] {
  const { target, others } = facts;
  const names = Object.keys(target.databases);
  const unreachable = others.filter(({ reachable }) => !reachable).map(({ member }) => member);
  const untold =
    unreachable.length === 0
      ? ok("other members", "all of them can be told")
      : warning(
          "other members",
          `${unreachable.join(", ")} cannot be told at once`,
          "None of them may be started where it cannot reach the others.",
        );
  const role = isDemoted(target)
    ? ok(`role of ${target.member}`, "it gave its role up, and may have it again")
    : roleCheck(target);
  return [
    role,
    typeCheck(target),
    ...memberChecks(facts),
    ...(names.length === 0 ? [failure("databases", `${target.member} has none yet`, WAIT)] : []),
    ...names.flatMap((name) => databaseChecks(name, facts)),
    ...possibleLosses(facts, 0).flatMap(({ database, ahead }) =>
      ahead.map(({ member, transactions }) =>
        failure(
          `database ${database}`,
          `${member} has received ${transactions} transactions more`,
          `Promote ${member}, or let ${target.member} have them first.`,
        ),
      ),
    ),
    untold,
  ];
}

const WAIT = "Wait until it has integrated its first snapshot: see `afterimage status`.";

/** Whether a member gave its role up, and knows of nobody who has taken it. */
export function isDemoted({ errors }: Pick<MemberStatus, "errors">): boolean {
  return errors.some(({ code }) => code === DEMOTED);
}

function typeCheck({ member, type }: MemberStatus): CheckResult {
  const check = `type of ${member}`;
  if (type !== "reporting") return ok(check, type);
  return failure(check, "reporting, which never takes over", "Choose a member of type failover or dr.");
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
    state === "unknown" ? "its mailbox cannot be read" : "it does not run",
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

/** Whether the operational member can put into the mailbox what the target needs. */
function mailbox(operational: MemberStatus, { member }: MemberStatus): CheckResult {
  const check = `mailbox of ${member}`;
  const follower = operational.followers[member];
  if (follower === undefined)
    return failure(
      check,
      `${operational.member} has not heard of it yet`,
      "Wait a moment, and look at `afterimage status`.",
    );
  const { via, error, reachable } = follower;
  if (error !== null)
    return failure(check, `${operational.member} cannot ship to it: ${error.code}: ${error.message}`, error.hint);
  if (!reachable) return failure(check, `${operational.member} does not reach it`, "See `afterimage doctor` there.");
  return ok(check, via === null ? `${operational.member} ships to it` : `it gets its segments through ${via}`);
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

function memberChecks({ target, operational, clocks }: ReadinessFacts): CheckResult[] {
  const { member, errors, hookFaults = [] } = target;
  const found = errors
    .filter(({ code }) => code !== DEMOTED)
    .map(({ code, message, hint }) => failure(`state of ${member}`, `${code}: ${message}`, hint));
  const hooks = hookFaults.map((fault) =>
    failure(`hooks of ${member}`, fault, "Correct it: it would fail when it is needed."),
  );
  const judged = [operational, target].flatMap((each) => {
    const reading = each === null ? undefined : clocks?.get(each.member);
    return each === null || reading === undefined ? [] : [clock(each.member, reading)];
  });
  return [
    ...(found.length === 0 ? [ok(`state of ${member}`, "no errors")] : found),
    ...(hooks.length === 0 ? [ok(`hooks of ${member}`, "every program can be run")] : hooks),
    freeSpace(target),
    ...judged,
  ];
}

function clock(member: string, reading: ClockReading): CheckResult {
  const check = `clock of ${member}`;
  const { aheadMs, slackMs } = clockOffset(reading);
  if (Math.abs(aheadMs) - slackMs <= CLOCK_LIMIT_MS) return ok(check, describeClock(reading));
  return warning(
    check,
    describeClock(reading),
    "Nothing depends on it but the ages that people are shown: correct it.",
  );
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

function databaseChecks(name: string, { target, operational }: ReadinessFacts): CheckResult[] {
  const check = `database ${name}`;
  const copy = target.databases[name];
  if (copy === undefined) {
    const message = `${operational?.member ?? "the operational member"} has it, and ${target.member} has not`;
    return [failure(check, message, "Add it to the configuration of that member, or choose another one.")];
  }
  if (copy.integrated === null) return [failure(check, `${target.member} has no first state of it yet`, WAIT)];
  const faults = [...errorsOf(check, copy), ...(copy.hold === null ? [] : [held(check, copy.hold)])];
  if (faults.length > 0) return faults;
  if (copy.lagTransactions === 0) return [ok(check, "at the end of the journal")];
  const behind = `${copy.lagTransactions ?? "some"} transactions, ${Math.round(copy.lagSeconds ?? 0)} s behind`;
  return (copy.lagSeconds ?? 0) <= LAG_LIMIT_S
    ? [ok(check, behind)]
    : [warning(check, behind, "It has to be brought forward first, which takes a while: see `afterimage status`.")];
}

function errorsOf(check: string, { error, resync, heldBy, quarantined, warnings }: DatabaseStatus): CheckResult[] {
  return [
    ...(error === null ? [] : [failure(check, `${error.code}: ${error.message}`, error.hint)]),
    ...(resync == null ? [] : [failure(check, "the copy is being made equal to its upstream's", "Wait until it is.")]),
    ...(heldBy === null ? [] : [warning(check, `integration waits for ${heldBy}`, "Wait until it has ended.")]),
    ...warnings.map(({ code, message, hint }) =>
      warning(check, `${code}: ${message}`, hint ?? "See `afterimage status`."),
    ),
    ...(quarantined === 0
      ? []
      : [warning(check, `${quarantined} refused files are in quarantine`, "Look into them, and remove them.")]),
  ];
}

/** What an operator has ordered stays; a delay and a schedule are left out when a member takes over. */
function held(check: string, { by, message }: HoldView): CheckResult {
  const left = by === "delay" || by === "window";
  return left
    ? warning(
        check,
        `${message}: what waits is integrated when it takes over`,
        "That takes a while: see `afterimage status`.",
      )
    : failure(check, message, "End it with `afterimage resume`.");
}

/**
 * What a promotion of the target would lose now, by database.
 * @param nowMs by this machine's clock.
 */
export function possibleLosses({ target, operational, others }: ReadinessFacts, nowMs: number): PossibleLoss[] {
  const names = new Set([...Object.keys(target.databases), ...Object.keys(operational?.databases ?? {})]);
  return [...names].sort().map((database) => {
    const copy = target.databases[database];
    const own = copy?.received ?? null;
    const ends = [operational?.databases[database]?.received ?? null, copy?.operational ?? null];
    const end = ends.reduce((a, b) => (a === null || (b !== null && numberOf(b) > numberOf(a)) ? b : a), null);
    const ahead = others.flatMap(({ member, type, databases }) => {
      const transactions = difference(databases[database]?.received ?? null, own);
      return type === "reporting" || transactions <= 0 ? [] : [{ member, transactions }];
    });
    return {
      database,
      received: own === null ? null : `${own.epoch}:${own.txid}:${own.checksum}`,
      time: own?.time ?? null,
      ageSeconds: own?.time == null ? null : Math.max(0, (nowMs - Date.parse(own.time)) / 1000),
      transactions: end === null ? null : Math.max(0, difference(end, own)),
      seconds: secondsBetween(own, end),
      ahead,
    };
  });
}

function secondsBetween(from: PositionView | null, to: PositionView | null): number | null {
  if (from?.time == null || to?.time == null) return null;
  return Math.max(0, (Date.parse(to.time) - Date.parse(from.time)) / 1000);
}

function difference(a: PositionView | null, b: PositionView | null): number {
  return Number((a === null ? 0n : numberOf(a)) - (b === null ? 0n : numberOf(b)));
}

function numberOf({ txid }: PositionView): bigint {
  return BigInt(`0x${txid}`);
}

function gibibytes(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}

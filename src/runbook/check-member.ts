/** Whether one member of a mirror set is well, by what it says of itself. */
import { type CheckResult, failure, ok, warning } from "../member/check-result.ts";
import { transportLag } from "../status/database-lag.ts";
import type { DatabaseStatus, ErrorView, JournalStatus, MemberStatus } from "../status/member-status.ts";
import { hearsOperational, isSeen, missingDatabases } from "../status/mirror-set-view.ts";
import { judgeAge, oldest, type SetFacts } from "./set-facts.ts";

/** Of the journal's limit. */
const NEARLY_FULL = 0.9;
/** Below so many times the least the journal will soon give up history. */
const NEAR = 2;
const GIB = 2 ** 30;
const SEE_STATUS = "`afterimage status` says more.";

export function checkMember(member: MemberStatus, facts: SetFacts): CheckResult[] {
  const { members, answeredBy } = facts.status;
  const { member: name } = member;
  // A command that finds no daemon reads the state itself, and would always find itself alive.
  const runs = name === answeredBy ? member.run !== null : isSeen(member, members);
  if (!runs) {
    const message = member.state === "unknown" ? "its mailbox cannot be read" : "it does not run, or cannot be reached";
    const hint = `Start it: \`afterimage run --node ${name}\` on that machine; \`afterimage doctor\` here tries the way there.`;
    return [failure(`daemon of ${name}`, message, hint)];
  }
  const alive = ok(`daemon of ${name}`, member.reachable ? "it runs" : "it runs, as its upstream says");
  if (!member.reachable) return [alive];
  return [
    alive,
    ...checkErrors(member),
    ...(member.role === "mirror" ? checkCopies(member, facts) : []),
    ...checkQuarantine(member),
    ...checkVerification(member, facts),
    ...(name === answeredBy ? checkBackups(member, facts) : []),
    ...checkJournal(name, member.journal),
  ];
}

function checkErrors({ member, errors, databases, followers, hookFaults = [] }: MemberStatus): CheckResult[] {
  const check = `state of ${member}`;
  const named = (where: string, { code, message, hint }: ErrorView) =>
    failure(check, `${where}${code}: ${message}`, hint ?? SEE_STATUS);
  const found = [
    ...errors.map((error) => named("", error)),
    ...Object.entries(databases).flatMap(([name, { error }]) => (error === null ? [] : [named(`${name}: `, error)])),
    ...Object.entries(followers).flatMap(([name, { error }]) => (error === null ? [] : [named(`to ${name}: `, error)])),
    ...Object.entries(databases).flatMap(([name, { warnings }]) =>
      warnings.map(({ code, message, hint }) => warning(check, `${name}: ${code}: ${message}`, hint ?? SEE_STATUS)),
    ),
    ...hookFaults.map((fault) => warning(check, `hook ${fault}`, "Correct it: it would fail when it is needed.")),
  ];
  return found.length === 0 ? [ok(check, "no errors")] : found;
}

function checkCopies(member: MemberStatus, facts: SetFacts): CheckResult[] {
  const { members } = facts.status;
  const copies = Object.values(member.databases);
  return [checkMissing(member, members), checkReceived(member, copies, facts), checkIntegrated(member, copies, facts)];
}

function checkMissing({ member, databases }: MemberStatus, members: readonly MemberStatus[]): CheckResult {
  const check = `databases of ${member}`;
  const missing = missingDatabases(members).find((each) => each.member === member)?.databases ?? [];
  if (missing.length > 0) {
    const hint = "Add them to the configuration of that member, and run `afterimage reload` there.";
    return failure(check, `${missing.join(", ")} missing`, hint);
  }
  const empty = Object.entries(databases).flatMap(([name, { integrated }]) => (integrated === null ? [name] : []));
  if (empty.length > 0)
    return warning(check, `no copy of ${empty.join(", ")} yet`, `Wait for the first snapshot. ${SEE_STATUS}`);
  return ok(check, `${Object.keys(databases).length}, none missing`);
}

/**
 * Of what is not proved to be in the mirror's journal, in seconds; null when nothing is proved. An upper bound: what the
 * copy holds was received before, and silence counts.
 */
export function transportAgeSeconds(member: MemberStatus, copy: DatabaseStatus): number | null {
  if (copy.receivedStaleSeconds != null) return copy.receivedStaleSeconds;
  // A member of an earlier version does not say it.
  const silence = member.upstreamAgeSeconds ?? null;
  const { transactions, seconds } = transportLag(copy);
  if (silence === null || transactions === null) return null;
  if (transactions === 0) return silence;
  const bounds = [seconds, copy.staleSeconds ?? null].filter((bound) => bound !== null);
  return bounds.length === 0 ? null : silence + Math.min(...bounds);
}

function checkReceived(
  member: MemberStatus,
  copies: readonly DatabaseStatus[],
  { status, limits }: SetFacts,
): CheckResult {
  const check = `received lag of ${member.member}`;
  const ageSeconds = oldest(copies.map((copy) => transportAgeSeconds(member, copy)));
  const level = judgeAge(ageSeconds, limits.receivedSeconds.get(member.member) ?? null);
  const heard = hearsOperational(member, status.members) ? "" : "; it hears nothing of the operational member";
  const message = `${age(ageSeconds)}${heard}`;
  if (level === "OK") return ok(check, message);
  const hint = `Look at its upstream and the network between: \`afterimage doctor\` on both. ${SEE_STATUS}`;
  return { check, level, message, hint };
}

function checkIntegrated(member: MemberStatus, copies: readonly DatabaseStatus[], { limits }: SetFacts): CheckResult {
  const check = `integrated lag of ${member.member}`;
  const ageSeconds = oldest(copies.map(({ staleSeconds = null }) => staleSeconds));
  const level = judgeAge(ageSeconds, limits.integratedSeconds.get(member.member) ?? null);
  const holds = Object.entries(member.databases).flatMap(([name, { hold }]) =>
    hold === null || hold.by === "delay" || hold.by === "window" ? [] : [`${name}: ${hold.message}`],
  );
  const [held] = holds;
  const message = [age(ageSeconds), ...holds].join("; ");
  const hint = "`afterimage resume` ends a pause; `afterimage status` says what else holds it back.";
  if (level === "OK") return held === undefined ? ok(check, message) : warning(check, message, hint);
  return { check, level, message, hint };
}

function age(seconds: number | null): string {
  return seconds === null ? "nothing is proved" : `at most ${Math.round(seconds)} s`;
}

function checkQuarantine({ member, databases }: MemberStatus): CheckResult[] {
  return Object.entries(databases).flatMap(([name, { quarantined }]) =>
    quarantined === 0
      ? []
      : warning(
          `quarantine of ${member}`,
          `${quarantined} refused files of ${name}`,
          "See the reasons beside them in its state directory, then remove them.",
        ),
  );
}

function checkVerification({ member, databases, history }: MemberStatus, { limits, nowMs }: SetFacts): CheckResult[] {
  const check = `verification of ${member}`;
  const hint = "Run `afterimage verify` on that member: it says what differs.";
  const wrong = Object.entries(databases).filter(([, { verified }]) => verified?.ok === false);
  if (wrong.length > 0) {
    const names = wrong.map(([name]) => name).join(", ");
    return [failure(check, `${names}: it was not what its journal says`, hint)];
  }
  if (limits.verifiedSeconds === null || Object.keys(databases).length === 0) return [];
  // A set that has just begun was not there to be verified.
  const began = history[0]?.startedAt ?? null;
  const ages = Object.values(databases).map(({ verified }) => {
    const since = verified?.time ?? began;
    return since === null ? 0 : (nowMs - Date.parse(since)) / 1000;
  });
  const days = (seconds: number) => `${(seconds / 86_400).toFixed(1)} days ago`;
  const longest = Math.max(...ages);
  if (longest > limits.verifiedSeconds) {
    return [
      warning(
        check,
        `the last was ${days(longest)}, or there was none`,
        "`afterimage events` on that member may say why.",
      ),
    ];
  }
  const never = Object.values(databases).some(({ verified }) => verified === null);
  return [ok(check, never ? "the first is still to come" : `all good, the oldest was ${days(longest)}`)];
}

function checkBackups({ member, databases }: MemberStatus, { limits, backups, nowMs }: SetFacts): CheckResult[] {
  if (limits.backupSeconds === null) return [];
  const check = `backups of ${member}`;
  const least = nowMs - limits.backupSeconds * 1000;
  const old = Object.keys(databases).filter((name) => (backups.get(name) ?? 0) < least);
  const hours = Math.round(limits.backupSeconds / 3600);
  if (old.length === 0) return [ok(check, `each database has one of the last ${hours} h`)];
  const hint = "BACKUP_FAILED among `afterimage events` says why; `afterimage backup` makes one now.";
  return [failure(check, `none of the last ${hours} h of ${old.join(", ")}`, hint)];
}

function checkJournal(member: string, journal: JournalStatus | null): CheckResult[] {
  if (journal === null) return [];
  const check = `space of ${member}`;
  const { bytes, maxBytes, freeBytes, minFreeBytes, shortages, givenUp } = journal;
  const sizes = `journal ${gibibytes(bytes)} of ${gibibytes(maxBytes)}, ${gibibytes(freeBytes)} free of which ${gibibytes(minFreeBytes)} must stay`;
  const hint =
    "Free some space on that file system; `afterimage purge --dry-run` says what the journal can do without.";
  const gone = givenUp.map((lost) =>
    warning(check, `${lost.member} was given up for ${lost.database}`, "It fetches what differs once it is back."),
  );
  if (freeBytes < minFreeBytes || shortages.length > 0)
    return [failure(check, [...shortages, sizes].join(", "), hint), ...gone];
  const isNear = freeBytes < NEAR * minFreeBytes || bytes > NEARLY_FULL * maxBytes;
  return [isNear ? warning(check, `near the limit: ${sizes}`, hint) : ok(check, sizes), ...gone];
}

function gibibytes(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}

/** What stands beneath the table of `afterimage status`. */

import { activityText } from "../status/activity-text.ts";
import type { AlertView, DatabaseStatus, ErrorView, JournalStatus, MemberStatus } from "../status/member-status.ts";
import { hearsOperational, missingDatabases } from "../status/mirror-set-view.ts";

/** Of the set: who hears nothing, and which databases a member lacks. */
export function setLines(members: readonly MemberStatus[]): string[] {
  const silent = members
    .filter((member) => member.role === "mirror" && member.reachable && !hearsOperational(member, members))
    .flatMap((member) => silenceLines(member));
  const missing = missingDatabases(members).flatMap(({ member, databases }) => [
    `${member}: warning DATABASES_MISSING: it lacks ${databases.join(", ")}, which the operational member has`,
    "  next: Add them to the configuration of that member, and run `afterimage reload` there.",
  ]);
  return [...silent, ...missing];
}

/** A lag that is counted from what is known would stay 0. */
function silenceLines({ member, upstreamAgeSeconds: ageSeconds = null, databases }: MemberStatus): string[] {
  const since = ageSeconds === null ? "since it was started" : `for ${Math.round(ageSeconds)} s`;
  const ages = Object.values(databases).map(({ staleSeconds = null }) => staleSeconds);
  const oldest = ages.reduce<number | null>(
    (most, age) => (most === null || age === null ? null : Math.max(most, age)),
    0,
  );
  const copies =
    oldest === null ? "how old its copies are is not proved" : `its copies may be ${Math.round(oldest)} s old`;
  return [
    `${member}: warning UPSTREAM_SILENT: it has heard nothing of the operational member ${since}; ${copies}`,
    "  next: Look whether that one's daemon and the network work: `afterimage doctor` on both.",
  ];
}

/** Of one member: errors, warnings, and work that takes a while, each with what to do. */
export function problemLines(status: MemberStatus): string[] {
  const { member, databases, followers, journal, errors, alerts = [], activities = [] } = status;
  const ofDatabases = Object.entries(databases).flatMap(
    ([name, { error, heldBy, hold, progress, resync, receiving, warnings, quarantined, verified }]) => [
      ...(heldBy === null ? [] : [`${member}/${name}: paused by ${heldBy}`]),
      ...(hold === null ? [] : [`${member}/${name}: ${hold.message}`]),
      ...workLines({ member, activities }, name, [
        ...progressLines(`${member}/${name}`, progress),
        ...copyLines(`${member}/${name}`, resync, receiving),
      ]),
      ...errorLines(`${member}/${name}`, error),
      ...warnings.flatMap((warning) => errorLines(`${member}/${name}`, warning, "warning")),
      ...quarantineLines(`${member}/${name}`, quarantined),
      ...verificationLines(`${member}/${name}`, verified),
    ],
  );
  const ofFollowers = Object.entries(followers).flatMap(([name, { error }]) =>
    errorLines(`${member} -> ${name}`, error),
  );
  const ofMember = errors.flatMap((error) => errorLines(member, error));
  const ofAlerts = alerts.flatMap((alert) => alertLines(member, alert));
  return [...ofMember, ...ofAlerts, ...ofDatabases, ...ofFollowers, ...journalLines(member, journal)];
}

/** What lines of their own say of it. */
const SHOWN_ANYWAY = ["DATABASE_ERROR", "MEMBER_ERROR", "QUARANTINE", "VERIFICATION_FAILED", "UPSTREAM_SILENT"];

function alertLines(member: string, { code, level, subject, message, hint, since }: AlertView): string[] {
  if (SHOWN_ANYWAY.includes(code)) return [];
  // Of any other subject the message says what it is.
  const where = code === "FOLLOWER_AWAY" || code === "RECEIPT_OLD" ? `${member} -> ${subject}` : member;
  const kind = level === "warn" ? "warning" : level;
  return [`${where}: ${kind} ${code}: ${message} (since ${since})`, `  next: ${hint}`];
}

/** What lasts, with its rate; of what has just begun only `otherwise`. Of a database that is only restored there is no other line. */
function workLines(
  { member, activities }: Pick<MemberStatus, "member" | "activities">,
  name: string,
  otherwise: string[],
): string[] {
  const own = (activities ?? []).filter(({ database }) => database === name);
  const copies = own.some(({ kind }) => kind !== "backup" && kind !== "restore");
  const lines = own.map((activity) => `${member}/${name}: ${activityText(activity)}`);
  return copies ? lines : [...lines, ...otherwise];
}

function progressLines(where: string, progress: DatabaseStatus["progress"]): string[] {
  if (progress === null) return [];
  const { transactions, bytes, perSecond, secondsLeft } = progress;
  const rate = perSecond === null ? "" : `, ${perSecond} a second`;
  const left = secondsLeft === null ? "" : `, some ${secondsLeft} s`;
  return [`${where}: catching up: ${transactions} transactions left (${bytes} bytes are here)${rate}${left}`];
}

const RESYNC_STEPS = { preparing: "its pages are read", asking: "asked", applying: "applied" } as const;

function copyLines(where: string, resync: DatabaseStatus["resync"], receiving: DatabaseStatus["receiving"]): string[] {
  const lines = resync == null ? [] : [`${where}: made equal to the upstream's copy: ${RESYNC_STEPS[resync.state]}`];
  if (receiving == null) return lines;
  const of = receiving.total === null ? "" : ` of ${receiving.total}`;
  return [...lines, `${where}: receiving: ${receiving.bytes}${of} bytes`];
}

function verificationLines(where: string, verified: DatabaseStatus["verified"]): string[] {
  if (verified === null || verified.ok) return [];
  const line = `${where}: error VERIFICATION_FAILED: it was not what its journal says (at ${verified.time})`;
  return [line, "  next: Run `afterimage verify` on that member: it says what differs."];
}

function journalLines(member: string, journal: JournalStatus | null): string[] {
  if (journal === null) return [];
  const { shortages, givenUp, bytes, maxBytes, freeBytes, minFreeBytes } = journal;
  const sizes = `${bytes} of at most ${maxBytes} bytes, ${freeBytes} bytes free where ${minFreeBytes} must stay free`;
  return [
    ...shortages.map((code) => `${member}: warning ${code}: the journal loses history before its time: ${sizes}`),
    ...givenUp.map(
      (lost) => `${member}: warning MEMBER_GIVEN_UP: ${lost.member} fetches what differs of ${lost.database}`,
    ),
  ];
}

function errorLines(where: string, error: ErrorView | null, kind: "error" | "warning" = "error"): string[] {
  if (error === null) return [];
  const line = `${where}: ${kind} ${error.code}: ${error.message} (since ${error.since})`;
  return error.hint === null ? [line] : [line, `  next: ${error.hint}`];
}

function quarantineLines(where: string, files: number): string[] {
  return files === 0
    ? []
    : [`${where}: ${files} refused files in quarantine: see the reasons beside them, then remove them`];
}

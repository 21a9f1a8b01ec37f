/** What is wrong in the mirror set, as far as this member knows it, and whether one can sleep. Pure functions. */
import type { ErrorView, MemberStatus } from "../status/member-status.ts";
import { hearsOperational, isSeen, missingDatabases, operationalMember } from "../status/mirror-set-view.ts";
import type { KnownMember } from "./member-ages.ts";
import type { Level, PageProblem, Verdict } from "./page-view.ts";

const RANK: Readonly<Record<Level, number>> = { error: 0, warn: 1, ok: 2 };

/**
 * Alerts that are raised, errors that are none yet, and what is only seen from outside; the worst first.
 * @param nowMs milliseconds since 1970.
 */
export function pageProblems(known: readonly KnownMember[], nowMs: number): PageProblem[] {
  const members = known.map(({ status }) => status);
  const found = [...ofSet(members), ...known.flatMap((each) => ofMember(each, members, nowMs))];
  return found.sort((a, b) => RANK[a.level] - RANK[b.level]);
}

function ofSet(members: readonly MemberStatus[]): PageProblem[] {
  const operational = operationalMember(members);
  if (operational !== null) return [];
  const message = "no member is known that says it is operational";
  const hint = "Run `afterimage whois-operational`: it looks at everything that is within reach.";
  return [{ ...nobody("NO_OPERATIONAL", message, hint), level: "error", member: members[0]?.member ?? "" }];
}

function ofMember(known: KnownMember, members: readonly MemberStatus[], nowMs: number): PageProblem[] {
  const { status } = known;
  const { member } = status;
  if (!isSeen(status, members)) return [silence(known, members, nowMs)];
  // What it said before it fell silent to this member may be over.
  if (!status.reachable) return [];
  const alerts = (status.alerts ?? []).map(({ level, subject, code, message, hint, since }) => ({
    ...{ level, member, subject, code, message, hint, since },
  }));
  const missing = missingDatabases(members).find((each) => each.member === member)?.databases ?? [];
  const lack = `it lacks ${missing.join(", ")}, which the operational member has`;
  const hint = "Add them to the configuration of that member, and run `afterimage reload` there.";
  return [
    ...alerts,
    ...errorsOf(status).filter(({ code }) => !isAlerted(status, code)),
    ...fence(status),
    ...(missing.length === 0 ? [] : [{ ...nobody("DATABASES_MISSING", lack, hint), level: "warn" as const, member }]),
  ];
}

/** A member that gave its role up, or was replaced, has an error that says so. */
function fence({ member, role, state, errors }: MemberStatus): PageProblem[] {
  if (role !== "operational" || state !== "fenced" || errors.length > 0) return [];
  const hint = "`afterimage unfence` on it ends this, if the fence was by hand.";
  return [{ ...nobody("FENCED", "it is fenced: nobody can write", hint), level: "error", member }];
}

function silence({ status, newsSeconds }: KnownMember, members: readonly MemberStatus[], nowMs: number): PageProblem {
  const { member, state } = status;
  // By this machine's clock: its own heartbeat has the time of another one.
  const since = newsSeconds === null ? null : new Date(nowMs - newsSeconds * 1000).toISOString();
  const isOperational = operationalMember(members)?.member === member;
  const what = state === "unknown" ? "its mailbox cannot be read" : "its heartbeat has stopped";
  const message = isOperational ? `it is the operational member, and ${what}` : what;
  const hint = isOperational
    ? "Look at its machine and its daemon. When it is lost, a mirror takes over: see the runbook's commands."
    : "Look at its machine and its daemon; its segments are kept meanwhile.";
  const code = state === "unknown" ? "MEMBER_UNKNOWN" : "MEMBER_DOWN";
  return { ...nobody(code, message, hint), level: isOperational ? "error" : "warn", member, since };
}

function errorsOf({ member, errors, databases, followers }: MemberStatus): PageProblem[] {
  const problem = (level: "warn" | "error", subject: string | null, view: ErrorView): PageProblem => ({
    ...{ level, member, subject, code: view.code, message: view.message, hint: view.hint, since: view.since },
  });
  return [
    ...errors.map((error) => problem("error", null, error)),
    ...Object.entries(databases).flatMap(([name, { error, warnings }]) => [
      ...(error === null ? [] : [problem("error", name, error)]),
      ...warnings.map((warning) => problem("warn", name, warning)),
    ]),
    ...Object.entries(followers).flatMap(([name, { error }]) => (error === null ? [] : [problem("warn", name, error)])),
  ];
}

/** Alerts about errors have the error's code for their subject. */
function isAlerted({ alerts = [] }: MemberStatus, code: string): boolean {
  return alerts.some(({ subject }) => subject === code);
}

function nobody(code: string, message: string, hint: string) {
  return { subject: null, code, message, hint, since: null };
}

export function verdict(problems: readonly PageProblem[], members: readonly MemberStatus[]): Verdict {
  const [first] = problems;
  if (first !== undefined) {
    const where = first.subject === null ? first.member : `${first.member}, ${first.subject}`;
    const more = problems.length === 1 ? "" : `; and ${problems.length - 1} more`;
    return { level: first.level, text: `${where}: ${first.message}${more}` };
  }
  const operational = operationalMember(members);
  const mirrors = members.filter(({ role }) => role === "mirror");
  if (mirrors.length === 0) return { level: "warn", text: "There is no mirror: nothing is kept anywhere else" };
  const deaf = mirrors.filter((mirror) => mirror.reachable && !hearsOperational(mirror, members));
  if (deaf.length > 0)
    return { level: "warn", text: `${deaf.map(({ member }) => member).join(", ")} waits for the operational member` };
  const count = mirrors.length === 1 ? "its mirror follows" : `all ${mirrors.length} mirrors follow`;
  return { level: "ok", text: `${operational?.member ?? ""} is operational, and ${count}` };
}

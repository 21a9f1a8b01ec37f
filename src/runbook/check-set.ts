/**
 * Whether a mirror set is healthy now, by what all members say of themselves: `afterimage check`. Pure functions.
 *
 * What nobody knows is no good news: a member that is silent is judged by how long it may have been so, and a copy whose age is
 * not proved is a warning.
 */

import { parseTxid } from "../ltx/position.ts";
import { type CheckResult, failure, ok, warning } from "../member/check-result.ts";
import { isDemoted } from "../member/readiness.ts";
import type { DatabaseStatus, MemberStatus, MirrorSetStatus } from "../status/member-status.ts";
import { isSeen, missingDatabases, operationalMember } from "../status/mirror-set-view.ts";
import { checkMember, transportAgeSeconds } from "./check-member.ts";
import { judgeAge, oldest, type SetFacts } from "./set-facts.ts";

export function checkSet(facts: SetFacts): CheckResult[] {
  const { status } = facts;
  return [
    checkOperational(status),
    checkEpochs(status),
    checkTopology(status),
    checkReceipts(status, facts.limits),
    ...status.members.flatMap((member) => checkMember(member, facts)),
  ];
}

function checkOperational({ members }: MirrorSetStatus): CheckResult {
  const check = "operational member";
  const who = "`afterimage whois-operational` looks at everything that is within reach.";
  const newest = operationalMember(members);
  if (newest === null) return failure(check, "nobody says that it is operational", who);
  const { member, epoch, state } = newest;
  const rivals = members.filter((each) => each.role === "operational" && each.epoch === epoch && each !== newest);
  if (rivals.length > 0) {
    const names = [newest, ...rivals].map((each) => each.member).join(" and ");
    return failure(check, `${names} say so in epoch ${epoch}`, `Fence one of them at once. ${who}`);
  }
  if (isDemoted(newest)) {
    return failure(check, `${member} gave its role up`, "Run `afterimage promote` on the member that is to take over.");
  }
  if (!isSeen(newest, members)) {
    const hint = `Look at its machine; when it is lost, docs/RUNBOOK.md says how another member takes over. ${who}`;
    return failure(check, `${member} in epoch ${epoch}, which does not run, or cannot be reached`, hint);
  }
  if (state === "fenced") {
    return failure(check, `${member} is fenced: nobody can write`, "`afterimage unfence` on it, if that was by hand.");
  }
  return ok(check, `${member}, in epoch ${epoch}`);
}

function checkEpochs({ members }: MirrorSetStatus): CheckResult {
  const known = members.filter(({ reachable, epoch }) => reachable && epoch !== null);
  const newest = Math.max(0, ...known.map(({ epoch }) => epoch ?? 0));
  const behind = known.filter(({ epoch }) => epoch !== newest);
  if (behind.length === 0) return ok("epochs", `${newest}`);
  const names = behind.map(({ member, epoch }) => `${member} knows of ${epoch}`);
  const hint =
    "They tell each other within half a minute. After that see `afterimage history` there, and `afterimage rejoin`.";
  return failure("epochs", `${newest} is the newest, ${names.join(", ")}`, hint);
}

/** Whether anybody could take over if the operational member were lost now. */
function checkTopology({ members }: MirrorSetStatus): CheckResult {
  const missing = new Set(missingDatabases(members).map(({ member }) => member));
  const fit = members.filter((each) => couldBePromoted(each) && !missing.has(each.member));
  if (fit.length > 0) return ok("topology", `${fit.map(({ member }) => member).join(", ")} could be promoted`);
  const hint =
    "Bring a mirror of type failover or dr back, or add one: `afterimage validate MEMBER` says what is against each.";
  return failure("topology", "no member could be promoted now", hint);
}

function couldBePromoted({ role, type, state, reachable, databases }: MemberStatus): boolean {
  const copies = Object.values(databases);
  const isSound = reachable && state !== "inconsistent" && state !== "fenced";
  return role === "mirror" && type !== "reporting" && isSound && copies.length > 0 && copies.every(hasCopy);
}

function hasCopy({ integrated }: DatabaseStatus): boolean {
  return integrated !== null;
}

/** How old what the operational member has cut is where nobody else is proved to have it: it would be lost with its machine. */
function checkReceipts({ members }: MirrorSetStatus, { receivedSeconds }: SetFacts["limits"]): CheckResult {
  const check = "receipts";
  const operational = operationalMember(members);
  if (operational === null) return warning(check, "not known", "See the operational member, above.");
  const mirrors = members.filter(({ role, member }) => role !== "operational" && member !== operational.member);
  if (mirrors.length === 0) return failure(check, "there is no mirror", "Add one: docs/CONFIG.md.");
  const ages = mirrors.map((mirror) => ({ mirror, ageSeconds: receiptAgeSeconds(operational, mirror) }));
  const judged = ages.map(({ mirror, ageSeconds }) => {
    const level = judgeAge(ageSeconds, receivedSeconds.get(mirror.member) ?? null);
    return { level, member: mirror.member, ageSeconds };
  });
  const safe = judged.filter(({ level }) => level === "OK").map(({ member }) => member);
  const unsafe = judged.filter(({ level }) => level !== "OK");
  if (unsafe.length === 0) return ok(check, `what was cut is on ${safe.join(", ")}`);
  const hint = "`afterimage status` shows why nothing reaches it; `afterimage doctor` on its upstream tries the way.";
  const list = unsafe.map(({ member, ageSeconds }) => `${member} (${inWords(ageSeconds)})`).join(", ");
  if (safe.length > 0) return warning(check, `not proved to be on ${list}; it is on ${safe.join(", ")}`, hint);
  const message = `not proved to be on ${list}`;
  return judged.every(({ level }) => level === "FAIL") ? failure(check, message, hint) : warning(check, message, hint);
}

function inWords(seconds: number | null): string {
  return seconds === null ? "nothing yet" : `${Math.round(seconds)} s old`;
}

/** Of the oldest transaction that the mirror is not proved to have received; 0 when it has all; null when nothing is proved. */
function receiptAgeSeconds(operational: MemberStatus, mirror: MemberStatus): number | null {
  const receipts = operational.followers[mirror.member]?.databases ?? {};
  const ages = Object.entries(operational.databases).map(([name, { received }]) => {
    const { received: got = null, lagSeconds = null, unreceivedSeconds = null } = receipts[name] ?? {};
    if (received === null || isAtLeast(got, received.txid)) return 0;
    if (unreceivedSeconds !== null) return unreceivedSeconds;
    const copy = mirror.databases[name];
    // The receipt's lag is that of the integration, which may be late on purpose.
    const own = mirror.reachable && copy !== undefined ? transportAgeSeconds(mirror, copy) : null;
    return got === null || lagSeconds === null ? own : Math.min(lagSeconds, own ?? lagSeconds);
  });
  return oldest(ages);
}

function isAtLeast(got: string | null, txid: string): boolean {
  const [reached, end] = [got === null ? null : parseTxid(got), parseTxid(txid)];
  return reached !== null && end !== null && reached >= end;
}

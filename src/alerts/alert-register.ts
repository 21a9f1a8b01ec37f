/**
 * Which alerts are raised, as a value: what was found turns one register into the next one and the changes between.
 *
 * Guarantee: of each alert, raisings and clearings alternate, over restarts too, when {@link raisedIn} is kept and given to
 * {@link openRegister} again. What is unclear changes nothing. An alert is raised when its finding has been bad for as long
 * as it asks for, and cleared when it has been good, or was not found any more, for {@link CLEAR_AFTER_MS}, without a break.
 */
import { ALERTS, type AlertCode, type AlertLevel } from "./alert-catalogue.ts";
import type { Finding } from "./alert-rules.ts";

export const CLEAR_AFTER_MS = 10_000;

export interface RaisedAlert {
  /** Of this time that it is raised; no other has the same. */
  readonly id: string;
  readonly code: AlertCode;
  readonly level: AlertLevel;
  readonly subject: string | null;
  readonly database: string | null;
  readonly message: string;
  readonly hint: string;
  /** When it was first seen, milliseconds since 1970. */
  readonly sinceMs: number;
}

export interface AlertChange {
  readonly kind: "raised" | "cleared";
  readonly alert: RaisedAlert;
}

interface Entry {
  /** Null while it is bad, and not for long enough. */
  readonly alert: RaisedAlert | null;
  /** Since when what would change it has held without a break, by a clock that only grows; null when nothing would. */
  readonly turningSinceMs: number | null;
  /** When that began, milliseconds since 1970. */
  readonly sinceMs: number;
}

/** By key of the finding. */
export type AlertRegister = ReadonlyMap<string, Entry>;

export interface Look {
  readonly findings: readonly Finding[];
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** Milliseconds that only grow, from any start. */
  readonly clockMs: number;
  makeId(): string;
}

/** The register of a daemon that has just been started. */
export function openRegister(raised: Iterable<RaisedAlert>): AlertRegister {
  return new Map([...raised].map((alert) => [keyOf(alert), { alert, turningSinceMs: null, sinceMs: alert.sinceMs }]));
}

export function raisedIn(register: AlertRegister): RaisedAlert[] {
  return [...register.values()].flatMap(({ alert }) => (alert === null ? [] : [alert]));
}

export function judge(register: AlertRegister, look: Look): { register: AlertRegister; changes: AlertChange[] } {
  const found = new Map(look.findings.map((finding) => [keyOf(finding), finding]));
  const next = new Map<string, Entry>();
  const changes: AlertChange[] = [];
  for (const key of new Set([...register.keys(), ...found.keys()])) {
    const before = register.get(key);
    const after = judgeOne(before, found.get(key), look);
    if (after !== null) next.set(key, after);
    const [old, fresh] = [before?.alert ?? null, after?.alert ?? null];
    if (old === null && fresh !== null) changes.push({ kind: "raised", alert: fresh });
    if (old !== null && fresh === null) changes.push({ kind: "cleared", alert: old });
  }
  return { register: next, changes };
}

/** Null when there is nothing to remember. */
function judgeOne(before: Entry | undefined, finding: Finding | undefined, look: Look): Entry | null {
  const alert = before?.alert ?? null;
  const state = finding?.state ?? "good";
  const since = { turningSinceMs: before?.turningSinceMs ?? look.clockMs, sinceMs: before?.sinceMs ?? look.nowMs };
  const turnedForMs = look.clockMs - since.turningSinceMs;
  if (alert !== null) {
    if (state === "good") return turnedForMs >= CLEAR_AFTER_MS ? null : { ...since, alert };
    // Status shows how it is now.
    const message = state === "bad" && finding !== undefined ? finding.message : alert.message;
    return { alert: { ...alert, message }, turningSinceMs: null, sinceMs: alert.sinceMs };
  }
  if (state !== "bad" || finding === undefined) return null;
  return turnedForMs >= finding.raiseAfterMs ? raised(finding, since.sinceMs, look) : { ...since, alert: null };
}

function raised({ code, subject, database, message, hint }: Finding, sinceMs: number, look: Look): Entry {
  const alert = { id: look.makeId(), code, level: ALERTS[code].level, subject, database, message, hint, sinceMs };
  return { alert, turningSinceMs: null, sinceMs };
}

function keyOf({ code, subject }: Pick<Finding, "code" | "subject">): string {
  return `${code} ${subject ?? ""}`;
}

/** What a check has found. */
import { messageOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";

/** OK; WARN: it works, and somebody should look; FAIL: it does not, or soon will not. */
export const CHECK_LEVELS = ["OK", "WARN", "FAIL"] as const;
export type CheckLevel = (typeof CHECK_LEVELS)[number];

export interface CheckResult {
  /** What was looked at: `database patients`. */
  readonly check: string;
  readonly level: CheckLevel;
  readonly message: string;
  /** What to do next; null when there is nothing to do. */
  readonly hint: string | null;
}

export function ok(check: string, message: string): CheckResult {
  return { check, level: "OK", message, hint: null };
}

export function warning(check: string, message: string, hint: string): CheckResult {
  return { check, level: "WARN", message, hint };
}

export function failure(check: string, message: string, hint: string | null): CheckResult {
  return { check, level: "FAIL", message, hint };
}

/** What a check that threw has found. */
export function failed(check: string, error: unknown): CheckResult {
  return error instanceof AfterimageError
    ? failure(check, `${error.code}: ${error.message}`, error.hint ?? null)
    : failure(check, messageOf(error), null);
}

/** The worst of them; OK when there are none. */
export function worstLevel(results: readonly CheckResult[]): CheckLevel {
  if (results.some(({ level }) => level === "FAIL")) return "FAIL";
  return results.some(({ level }) => level === "WARN") ? "WARN" : "OK";
}

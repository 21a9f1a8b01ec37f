import type { CheckResult } from "../member/check-result.ts";
import type { GlobalOptions } from "./command-io.ts";

/** What a check has found, and what to do next; nothing of what is good when only results are wanted. */
export function checkLines(
  { check, level, message, hint }: CheckResult,
  { quiet }: Pick<GlobalOptions, "quiet">,
): string[] {
  if (quiet === true && level === "OK") return [];
  return [`${level.padEnd(4)}  ${check}: ${message}`, ...(hint === null ? [] : [`      next: ${hint}`])];
}

/** The same as pgBackRest and repmgr show it: `NAME: OK (what was found)`. */
export function namedCheckLines(
  { check, level, message, hint }: CheckResult,
  { quiet }: Pick<GlobalOptions, "quiet">,
): string[] {
  if (quiet === true && level === "OK") return [];
  return [`${check}: ${level} (${message})`, ...(hint === null ? [] : [`  next: ${hint}`])];
}

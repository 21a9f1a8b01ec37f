/** Results of checks for a monitoring system: one line, and the exit code of a plugin (Monitoring Plugins' guidelines). */
import { type CheckLevel, type CheckResult, worstLevel } from "../member/check-result.ts";

const NAGIOS: Readonly<Record<CheckLevel, { readonly code: number; readonly word: string }>> = {
  OK: { code: 0, word: "OK" },
  WARN: { code: 1, word: "WARNING" },
  FAIL: { code: 2, word: "CRITICAL" },
};

export function nagiosCode(results: readonly CheckResult[]): number {
  return NAGIOS[worstLevel(results)].code;
}

/** The worst first. */
export function nagiosLine(results: readonly CheckResult[]): string {
  const { word } = NAGIOS[worstLevel(results)];
  const wrong = (["FAIL", "WARN"] as const).flatMap((wanted) => results.filter(({ level }) => level === wanted));
  const texts = wrong.map(({ check, message }) => `${check}: ${message}`);
  return `AFTERIMAGE ${word} - ${[`${results.length - wrong.length} of ${results.length} checks good`, ...texts].join("; ")}`;
}

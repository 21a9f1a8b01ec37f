/** The programs that hooks name: there, and executable by whoever runs this. */
import { statSync } from "node:fs";
import { HOOK_EVENTS } from "../config/configuration.ts";
import { programFault } from "../hooks/program-fault.ts";
import { type CheckResult, failure, ok, warning } from "../member/check-result.ts";
import type { Subject } from "./subject.ts";

const WRITABLE_BY_ALL = 0o002;

export function checkHooks({ member }: Subject): CheckResult[] {
  return HOOK_EVENTS.flatMap((event) => {
    const path = member.hooks[event];
    return path === undefined ? [] : [checkProgram(`hook ${event}`, path)];
  });
}

function checkProgram(check: string, path: string): CheckResult {
  const fault = programFault(path);
  if (fault !== null) return failure(check, fault.message, fault.hint);
  if ((statSync(path).mode & WRITABLE_BY_ALL) !== 0) {
    const hint = `Run \`chmod o-w ${path}\`: it is run with Afterimage's rights.`;
    return warning(check, `${path} can be changed by every user of this machine`, hint);
  }
  return ok(check, `${path} is executable`);
}

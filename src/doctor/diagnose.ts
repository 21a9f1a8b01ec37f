import { errnoOf } from "../errno.ts";
import { type CheckResult, failed } from "../member/check-result.ts";
import { checkApplications } from "./check-applications.ts";
import { checkDatabases } from "./check-databases.ts";
import { checkDirectories } from "./check-directories.ts";
import { checkFileSystems } from "./check-file-systems.ts";
import { checkFreeSpace } from "./check-free-space.ts";
import { checkHooks } from "./check-hooks.ts";
import { checkMailboxes } from "./check-mailboxes.ts";
import { checkPorts } from "./check-ports.ts";
import type { Check, Subject } from "./subject.ts";

/** In the order in which they are shown. */
const CHECKS: readonly Check[] = [
  checkDirectories,
  checkFileSystems,
  checkFreeSpace,
  checkDatabases,
  checkApplications,
  checkHooks,
  checkPorts,
  checkMailboxes,
];

/** Looks at everything that a member needs; nothing is changed, and nothing is thrown. */
export async function diagnose(subject: Subject): Promise<CheckResult[]> {
  const results = await Promise.all(CHECKS.map((check) => attempt(check, subject)));
  return results.flat();
}

/** `checkFileSystems`: file systems. */
function wordsOf(name: string): string {
  return name
    .replace(/^check/, "")
    .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    .trim();
}

async function attempt(check: Check, subject: Subject): Promise<readonly CheckResult[]> {
  try {
    return await check(subject);
  } catch (error) {
    const result = failed(wordsOf(check.name), error);
    const isDenied = errnoOf(error) === "EACCES";
    return [isDenied ? { ...result, hint: "Run this command as the user that the daemon runs as." } : result];
  }
}

/** Which SQLite the applications use that have this member's databases open now, as far as this user may see it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readLockHolder } from "../journal/process-lock.ts";
import { type CheckResult, ok, warning } from "../member/check-result.ts";
import { type ProcessUsing, processesUsing } from "./sqlite-of-process.ts";
import { FIXED_RELEASES, hasWalResetBug } from "./sqlite-releases.ts";
import type { Subject } from "./subject.ts";

const ADVICE =
  `Update that application's SQLite to ${FIXED_RELEASES}. Until then let it run PRAGMA wal_autocheckpoint=0 on every ` +
  "connection: Afterimage checkpoints.";

export function checkApplications({ member }: Pick<Subject, "member">): CheckResult[] {
  if (process.platform !== "linux") return [ok("applications", "which SQLite they use can be seen on Linux only")];
  const daemon = readLockHolder(join(member.state, "locks", "member.db"))?.pid ?? null;
  return [...member.databases].flatMap(([name, path]) =>
    existsSync(path) ? [checkApplication(name, path, daemon)] : [],
  );
}

function checkApplication(name: string, path: string, daemon: number | null): CheckResult {
  const check = `applications of ${name}`;
  const { found: users, hidden } = processesUsing(path);
  const found = users.filter(({ pid }) => pid !== daemon);
  const faulty = found.filter(({ versions }) => versions.some(hasWalResetBug));
  const hint = `${ADVICE}${faulty.some(isUncertain) ? " Ask it for `select sqlite_version()`: several were found." : ""}`;
  if (faulty.length > 0) {
    const message = `${faulty.map(describe).join(", ")}: beside another checkpoint it can lose commits`;
    return warning(check, message, hint);
  }
  const unseen = hidden === 0 ? "" : `; ${hidden} processes of other users were not looked at: only root may`;
  if (found.length === 0) return ok(check, `none has it open now, so that its SQLite is not known${unseen}`);
  return ok(check, `${found.map(describe).join(", ")}${unseen}`);
}

function isUncertain({ versions }: ProcessUsing): boolean {
  return versions.length > 1;
}

function describe({ pid, name, versions }: ProcessUsing): string {
  const version = versions.length === 0 ? "an SQLite of unknown version" : `SQLite ${versions.join(" or ")}`;
  return `${name} (process ${pid}) has ${version}`;
}

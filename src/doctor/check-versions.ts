/** The versions of what this program runs on. */
import { sqliteVersion } from "../backup/sqlite-version.ts";
import { type CheckResult, failure, ok } from "../member/check-result.ts";

const REQUIRED_NODE_MAJOR = 24;
/** Before it a checkpoint could lose commits when the WAL was restarted at the same time. */
const REQUIRED_SQLITE = [3, 51, 3];

export function checkVersions(): CheckResult[] {
  return [checkNode(process.versions.node), checkSqlite(sqliteVersion())];
}

function checkNode(version: string): CheckResult {
  return Number.parseInt(version, 10) >= REQUIRED_NODE_MAJOR
    ? ok("Node", version)
    : failure("Node", `${version} is too old`, `Install Node ${REQUIRED_NODE_MAJOR} or later.`);
}

/** Of the library in this program. Applications bring their own. */
export function checkSqlite(version: string): CheckResult {
  return isAtLeast(version, REQUIRED_SQLITE)
    ? ok("SQLite", `${version}, in Afterimage; applications use their own`)
    : failure(
        "SQLite",
        `${version} can lose commits at a checkpoint`,
        "Install Afterimage's dependencies anew: `npm ci`.",
      );
}

function isAtLeast(version: string, required: readonly number[]): boolean {
  const parts = version.split(".").map(Number);
  for (const [index, least] of required.entries()) {
    const part = parts[index] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}

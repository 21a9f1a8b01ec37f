/** The versions of what this program runs on. */
import { sqliteVersion } from "../backup/sqlite-version.ts";
import { type CheckResult, failure, ok } from "../member/check-result.ts";
import { hasWalResetBug } from "./sqlite-releases.ts";

const REQUIRED_NODE_MAJOR = 24;

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
  const hint = "Install Afterimage's dependencies anew: `npm ci`.";
  return hasWalResetBug(version)
    ? failure("SQLite", `${version} can lose commits at a checkpoint`, hint)
    : ok("SQLite", `${version}, in Afterimage; applications use their own`);
}

/** Free space of the file systems that the daemon keeps from filling up, against `journal.minFree`. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { type CheckResult, failed, failure, ok, warning } from "../member/check-result.ts";
import { freeSpace } from "../member/free-space.ts";
import { nearestExisting } from "./check-directories.ts";
import type { Subject } from "./subject.ts";

/** Below so many times the least the journal will soon give up history. */
const NEAR = 2;
const GIB = 2 ** 30;

export function checkFreeSpace({ configuration, member }: Subject): CheckResult[] {
  const paths = [join(member.state, "journal"), ...member.databases.values()].map(nearestExisting);
  const byFileSystem = new Map(paths.toReversed().map((path) => [statSync(path).dev, path]));
  return [...byFileSystem.values()].map((path) => {
    const check = `free space of ${path}`;
    try {
      return judge(check, freeSpace(path, configuration.journal));
    } catch (error) {
      return failed(check, error);
    }
  });
}

function judge(check: string, { free, least }: { free: number; least: number }): CheckResult {
  const text = `${gibibytes(free)} free, ${gibibytes(least)} must stay free`;
  const hint = "Free some space on that file system, or lower `journal.minFree`: see docs/ARCHITECTURE.md.";
  if (free < least) return failure(check, `${text}: nothing is cut into segments`, hint);
  return free < NEAR * least ? warning(check, `${text}: it is near the limit`, hint) : ok(check, text);
}

function gibibytes(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}

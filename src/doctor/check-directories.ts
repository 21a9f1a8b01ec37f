/** The directories that the daemon writes: there and writable, or ones that it can make. */
import { accessSync, constants, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { errnoOf } from "../errno.ts";
import { type CheckResult, failure, ok, warning } from "../member/check-result.ts";
import type { Subject } from "./subject.ts";

export function checkDirectories({ member }: Subject): CheckResult[] {
  return [
    checkDirectory("state directory", member.state),
    checkDirectory("journal directory", join(member.state, "journal")),
    checkDirectory("mailbox directory", member.directory),
  ];
}

function checkDirectory(check: string, path: string): CheckResult {
  const existing = nearestExisting(path);
  if (!isDirectory(existing)) return failure(check, `${existing} is not a directory`, "Move the file away.");
  const fault = writeFault(existing);
  if (fault !== null) {
    const hint =
      fault === "EROFS"
        ? "Mount the file system for writing, and look for why it is not: disks that fail become read-only."
        : "Give the user that Afterimage runs as permission to write there, or run this command as that user.";
    return failure(check, `${existing} cannot be written to (${fault})`, hint);
  }
  if (existing === path) return ok(check, `${path} is writable`);
  return warning(check, `${path} is not there yet`, "The daemon makes it; if it should be mounted, mount it first.");
}

/** The path itself, or the nearest directory above it that exists. */
export function nearestExisting(path: string): string {
  if (path === "/" || statSync(path, { throwIfNoEntry: false }) !== undefined) return path;
  return nearestExisting(dirname(path));
}

function isDirectory(path: string): boolean {
  return statSync(path).isDirectory();
}

/** The system's code for why this user cannot write; null when it can. */
function writeFault(path: string): string | null {
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return errnoOf(error) ?? "not allowed";
  }
}

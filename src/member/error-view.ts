import { errnoOf, messageOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";
import type { ErrorView } from "../status/member-status.ts";

const NO_SPACE = new Set(["ENOSPC", "EDQUOT", "SQLITE_FULL"]);
const NO_SPACE_HINT = "Free some space where the state, the mailbox and the databases are; work goes on by itself.";

/** An error as status documents show it. What is not ours gets the code of the system call, or INTERNAL. */
export function errorView(error: unknown, atMs: number): ErrorView {
  const since = new Date(atMs).toISOString();
  if (error instanceof AfterimageError) {
    return { code: error.code, message: error.message, hint: error.hint ?? null, since };
  }
  const code = errnoOf(error) ?? "INTERNAL";
  if (NO_SPACE.has(code)) return { code: "DISK_FULL", message: messageOf(error), hint: NO_SPACE_HINT, since };
  return { code, message: messageOf(error), hint: null, since };
}

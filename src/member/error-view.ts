import { errnoOf, messageOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";
import type { ErrorView } from "../status/member-status.ts";

/** An error as status documents show it. What is not ours gets the code of the system call, or INTERNAL. */
export function errorView(error: unknown, atMs: number): ErrorView {
  const since = new Date(atMs).toISOString();
  if (error instanceof AfterimageError) {
    return { code: error.code, message: error.message, hint: error.hint ?? null, since };
  }
  return { code: errnoOf(error) ?? "INTERNAL", message: messageOf(error), hint: null, since };
}

import { AfterimageError } from "../errors.ts";
import type { ErrorView } from "../status/member-status.ts";

/** An error as status documents show it. What is not ours gets the code of the system call, or INTERNAL. */
export function errorView(error: unknown, atMs: number): ErrorView {
  const since = new Date(atMs).toISOString();
  if (error instanceof AfterimageError) {
    return { code: error.code, message: error.message, hint: error.hint ?? null, since };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: systemCode(error) ?? "INTERNAL", message, hint: null, since };
}

function systemCode(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}

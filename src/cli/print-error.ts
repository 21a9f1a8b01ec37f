import { ConfigError } from "../config/config-error.ts";
import { messageOf } from "../errno.ts";
import { AfterimageError } from "../errors.ts";
import type { CommandIo } from "./command-io.ts";

/** Says what went wrong, where, and what to do next: for people on standard error, as JSON on standard output. */
export function printError(error: unknown, io: CommandIo, options: { readonly json: boolean }): void {
  if (options.json) io.out(JSON.stringify({ error: errorDocument(error) }));
  else for (const line of errorLines(error)) io.err(line);
}

export function errorDocument(error: unknown): object {
  if (!(error instanceof AfterimageError))
    return { code: "INTERNAL", message: messageOf(error), hint: null, path: null };
  const { code, message, hint = null, path = null } = error;
  return {
    code,
    message,
    hint,
    path,
    ...(error instanceof ConfigError && error.faults.length > 0 ? { faults: error.faults } : {}),
  };
}

function errorLines(error: unknown): string[] {
  if (!(error instanceof AfterimageError)) {
    return [`error INTERNAL: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
  }
  const lines = [`error ${error.code}: ${error.message}`];
  if (error.path !== undefined) lines.push(`  path: ${error.path}`);
  if (error.hint !== undefined) lines.push(`  next: ${error.hint}`);
  return lines;
}

/** A kept state as a database file: the proof that it can be restored, and one side of the report of what differs. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { makeDirectory } from "../durable-files.ts";
import { runOwnProgram } from "./jobs/own-program.ts";
import type { MemberContext } from "./member-context.ts";
import { MemberError } from "./member-error.ts";

/** Within the directory of what is kept; only while a database rejoins. */
const WORK = ".restored";

const output = z.object({ restored: z.literal(true) });

/** `unsound`: every page is what it was, and SQLite finds fault with them, so that they cannot be compared. */
export type RestoredKept = { readonly path: string } | "unsound" | "stopped";

/**
 * Restores it, by the very command that an operator would use, unless an earlier attempt has.
 * @throws MemberError REJOIN_UNKEPT
 */
export async function restoreKept(
  context: MemberContext,
  database: string,
  directory: string,
  stop: AbortSignal = new AbortController().signal,
): Promise<RestoredKept> {
  const path = join(directory, WORK, `${database}.db`);
  if (existsSync(path)) return { path };
  removeRestored(directory);
  makeDirectory(join(directory, WORK));
  const args = ["restore", database, "--from", directory, "--to", path, "--quick"];
  const result = await runOwnProgram(context, args, { output, stop });
  if (result === null) return "stopped";
  if (!("error" in result)) return { path };
  if (result.error.code === "RESTORE_INTEGRITY") return "unsound";
  const { code, message } = result.error;
  throw new MemberError("REJOIN_UNKEPT", `what is kept of ${database} cannot be restored: ${code}: ${message}`, {
    path: directory,
    hint: "Nothing but what is kept has changed. Run the command again once the reason is gone.",
  });
}

/** The restored file goes; what it was restored from stays. */
export function removeRestored(directory: string): void {
  rmSync(join(directory, WORK), { recursive: true, force: true });
}

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

/**
 * Restores it, by the very command that an operator would use, unless an earlier attempt has.
 * @returns the path of the database; null when `stop` was aborted.
 * @throws MemberError REJOIN_UNKEPT
 */
export async function restoreKept(
  context: MemberContext,
  database: string,
  directory: string,
  stop: AbortSignal = new AbortController().signal,
): Promise<string | null> {
  const path = join(directory, WORK, `${database}.db`);
  if (existsSync(path)) return path;
  removeRestored(directory);
  makeDirectory(join(directory, WORK));
  // Its pages are proved by their checksum; a fault that SQLite finds with them was there before.
  const args = ["restore", database, "--from", directory, "--to", path, "--quick"];
  const result = await runOwnProgram(context, args, { output, stop });
  if (result === null) return null;
  if (!("error" in result)) return path;
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

/** Commands of Afterimage that a job starts as processes of their own, because what they read would hold up everything else here. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { MemberContext } from "../member-context.ts";

const PROGRAM = fileURLToPath(new URL("../../../bin/afterimage", import.meta.url));

export const jobErrorSchema = z.object({ code: z.string(), message: z.string() });

/** What a command prints with --json when it has failed as a whole. */
const failureSchema = z.object({ error: jobErrorSchema });

type Outcome<T> = T | { readonly error: z.infer<typeof jobErrorSchema> };

/**
 * Runs `afterimage ...args --json` for this member. It gets SIGTERM when `stop` is aborted.
 * @returns what it printed; the error that it gave, or that it ended without a word; null when it was stopped.
 */
export async function runOwnProgram<T extends object>(
  { configuration, self }: MemberContext,
  args: readonly string[],
  { output, stop }: { output: z.ZodType<T>; stop: AbortSignal },
): Promise<Outcome<T> | null> {
  const all = [...args, "--json", "--quiet", "--config", configuration.path, "--node", self.name];
  const child = spawn(process.execPath, [PROGRAM, ...all], { stdio: ["ignore", "pipe", "ignore"] });
  const end = () => child.kill("SIGTERM");
  stop.addEventListener("abort", end, { once: true });
  try {
    const [printed] = await Promise.all([text(child.stdout), once(child, "close")]);
    return stop.aborted ? null : parseOutput(printed, output);
  } finally {
    stop.removeEventListener("abort", end);
  }
}

function parseOutput<T extends object>(printed: string, output: z.ZodType<T>): Outcome<T> {
  try {
    return z.union([output, failureSchema]).parse(JSON.parse(printed));
  } catch {
    return { error: { code: "INTERNAL", message: "the command ended without a word" } };
  }
}

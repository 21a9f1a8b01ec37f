import { HookError } from "./hook-error.ts";
import { type HookDocument, type HookOptions, runHook } from "./run-hook.ts";

/**
 * Asks the hook `beforePromote` once. A program that fails does not consent: nobody knows what it would have checked.
 *
 * @returns why it does not consent; null when it does, or there is none to ask.
 */
export async function askBeforePromote(document: HookDocument, options: HookOptions): Promise<string | null> {
  try {
    const outcome = await runHook({ ...document, event: "beforePromote" }, options);
    return outcome.kind === "vetoed" ? outcome.reason : null;
  } catch (error) {
    if (!(error instanceof HookError)) throw error;
    return error.message;
  }
}

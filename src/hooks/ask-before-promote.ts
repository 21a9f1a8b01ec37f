import { setTimeout as delay } from "node:timers/promises";
import { HookError } from "./hook-error.ts";
import { type HookDocument, type HookOptions, runHook } from "./run-hook.ts";

const ASK_AGAIN_MS = 30_000;

export interface AskOptions extends HookOptions {
  /** Ends the asking. */
  readonly stop: AbortSignal;
  /** Go on without consent: the program is asked once, so that it knows, and what it says is passed on. */
  readonly force: boolean;
  /** Called for every answer that is not consent. `again`: it will be asked once more. */
  readonly onRefusal: (reason: string, again: boolean) => void;
  /** 30 s when not given. */
  readonly askAgainMs?: number;
}

/**
 * Asks the hook `beforePromote` until it consents. A program that fails does not consent: nobody knows what it would have
 * checked, and whoever corrects it meanwhile need not repeat the command.
 *
 * @returns whether it consented, or there is none to ask; false only with `force`.
 * @throws what `stop` was aborted with.
 */
export async function askBeforePromote(document: HookDocument, options: AskOptions): Promise<boolean> {
  for (;;) {
    const reason = await refusal({ ...document, event: "beforePromote" }, options);
    if (reason === null) return true;
    options.onRefusal(reason, !options.force);
    if (options.force) return false;
    await delay(options.askAgainMs ?? ASK_AGAIN_MS, undefined, { signal: options.stop }).catch(() => {});
    options.stop.throwIfAborted();
  }
}

async function refusal(document: HookDocument, options: HookOptions): Promise<string | null> {
  try {
    const outcome = await runHook(document, options);
    return outcome.kind === "vetoed" ? outcome.reason : null;
  } catch (error) {
    if (!(error instanceof HookError)) throw error;
    return error.message;
  }
}

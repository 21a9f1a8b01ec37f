import type { HookLedger } from "../journal/hook-ledger.ts";
import { type HookDocument, type HookOptions, type HookOutcome, runHook } from "./run-hook.ts";

/** `done before`: for this event, role and epoch it has ended well once. */
export type OnceOutcome = HookOutcome | { readonly kind: "done before" };

/**
 * Runs the hook unless it has ended well for this event, new role and new epoch: once, and at least once. It is noted when
 * it has ended, so a run that failed, or in whose middle this process was killed, is repeated. The other way round an
 * address might never move; the one that moves twice does no harm.
 *
 * For promoteFailed the epoch is the one that was not begun: it stays the same until some member has begun a later one, so
 * that repeated attempts are one incident.
 *
 * Throws as {@link runHook} does.
 */
export async function runHookOnce(
  ledger: HookLedger,
  document: HookDocument,
  options: HookOptions,
): Promise<OnceOutcome> {
  const occasion = { event: document.event, role: document.role.new, epoch: document.epoch.new };
  if (ledger.isDone(occasion)) return { kind: "done before" };
  const outcome = await runHook(document, options);
  if (outcome.kind === "done") ledger.saveDone(occasion, Date.parse(document.time));
  return outcome;
}

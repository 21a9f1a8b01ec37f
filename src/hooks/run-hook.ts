/** Runs the program that the configuration has for an event, and waits for it. docs/CONFIG.md says what programs rely on. */
import type { Logger } from "pino";
import type { HookConfiguration, HookEvent } from "../config/configuration.ts";
import { errnoOf, messageOf } from "../errno.ts";
import type { RoleState } from "../roles/role-state.ts";
import { HookError } from "./hook-error.ts";
import { type HookEnd, runHookProcess } from "./hook-process.ts";
import { programFault } from "./program-fault.ts";

/** How `beforePromote` says no. */
const VETO = 1;

/** What a program gets on standard input, as JSON. */
export interface HookDocument {
  readonly event: HookEvent;
  readonly mirror: string;
  readonly member: string;
  /** ISO 8601, by this member's clock. */
  readonly time: string;
  /** The same value twice where nothing changes; null for one that is not known. */
  readonly role: { readonly old: RoleState["role"] | null; readonly new: RoleState["role"] };
  readonly epoch: { readonly old: number | null; readonly new: number };
  /** What else there is to say about the event. */
  readonly details: Readonly<Record<string, unknown>>;
}

export interface HookOptions {
  readonly hooks: HookConfiguration;
  readonly logger: Logger;
  /** Ends a program that is running. */
  readonly stop?: AbortSignal;
  /** From SIGTERM to SIGKILL of a program whose time is up; 5 s when not given. */
  readonly killAfterMs?: number;
}

/**
 * - `absent`: the event has no program;
 * - `done`: it ended with 0;
 * - `vetoed`: of beforePromote only; `reason` is what it wrote last.
 */
export type HookOutcome =
  | { readonly kind: "absent" }
  | { readonly kind: "done" }
  | { readonly kind: "vetoed"; readonly reason: string };

/**
 * @throws HookError HOOK_FAILED when the program cannot be run, ends otherwise or not in time; the reason of `stop` when
 *   that ended it.
 */
export async function runHook(document: HookDocument, options: HookOptions): Promise<HookOutcome> {
  const { event } = document;
  const { hooks, logger } = options;
  const stop = options.stop ?? new AbortController().signal;
  const path = hooks[event];
  if (path === undefined) return { kind: "absent" };
  stop.throwIfAborted();
  const fault = programFault(path);
  if (fault !== null) throw new HookError(`the hook ${event}: ${fault.message}`, { path, hint: fault.hint });
  logger.info({ event, path }, "running a hook");
  const end = await started(path, document, { ...options, stop });
  logOutput(logger, event, end);
  stop.throwIfAborted();
  if (end.code === 0 && !end.timedOut) return { kind: "done" };
  if (end.code === VETO && !end.timedOut && event === "beforePromote") {
    return { kind: "vetoed", reason: lastLine(end) ?? "it said nothing" };
  }
  throw new HookError(`the hook ${event} ${failureOf(end, hooks.timeLimitMs)}`, {
    path,
    hint: "Correct the program, and run the command again; it is safe to repeat.",
  });
}

async function started(path: string, document: HookDocument, options: HookOptions & { stop: AbortSignal }) {
  const { hooks, stop, killAfterMs } = options;
  try {
    return await runHookProcess({
      path,
      args: [document.event],
      input: `${JSON.stringify(document)}\n`,
      environment: environmentOf(document),
      timeLimitMs: hooks.timeLimitMs,
      stop,
      ...(killAfterMs === undefined ? {} : { killAfterMs }),
    });
  } catch (error) {
    // The program itself is there: programFault has looked.
    const hint =
      errnoOf(error) === "ENOENT" ? "The interpreter that its first line names is not there." : "Run it by hand.";
    throw new HookError(`the hook ${document.event} cannot be started: ${messageOf(error)}`, {
      path,
      hint,
      cause: error,
    });
  }
}

/** For scripts that read no JSON. */
function environmentOf({ event, mirror, member, role, epoch }: HookDocument): Record<string, string> {
  return {
    AFTERIMAGE_EVENT: event,
    AFTERIMAGE_MIRROR: mirror,
    AFTERIMAGE_MEMBER: member,
    AFTERIMAGE_ROLE: role.new,
    AFTERIMAGE_OLD_ROLE: role.old ?? "",
    AFTERIMAGE_EPOCH: String(epoch.new),
    AFTERIMAGE_OLD_EPOCH: epoch.old === null ? "" : String(epoch.old),
  };
}

function logOutput(logger: Logger, event: HookEvent, { stdout, stderr }: HookEnd): void {
  if (stdout !== "") logger.info({ event, output: stdout }, "a hook wrote to standard output");
  if (stderr !== "") logger.warn({ event, output: stderr }, "a hook wrote to standard error");
}

function failureOf(end: HookEnd, timeLimitMs: number): string {
  if (end.timedOut) return `was not done after ${timeLimitMs / 1000} s, and was ended`;
  const how = end.code === null ? `was ended by ${end.signal ?? "a signal"}` : `ended with ${end.code}`;
  const line = lastLine(end);
  return line === null ? how : `${how}: ${line}`;
}

function lastLine({ stdout, stderr }: HookEnd): string | null {
  const text = stderr === "" ? stdout : stderr;
  return text === "" ? null : (text.split("\n").at(-1) ?? null);
}

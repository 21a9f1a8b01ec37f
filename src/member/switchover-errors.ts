/** What a hand-over can end with, other than that it is done. */
import type { ErrorView } from "../status/member-status.ts";
import { MemberError } from "./member-error.ts";

const UNDONE = "All is as it was: the databases are writable again.";
const SEE_STATUS = "See `afterimage status`.";

export function behind(name: string, limit: string): MemberError {
  return new MemberError("SWITCHOVER_BEHIND", `${name} is too far behind to be level within ${limit}`, {
    hint: "Wait until it has caught up (see `afterimage status`), or allow more with --timeout.",
  });
}

export function timedOut(message: string): MemberError {
  return new MemberError("SWITCHOVER_TIMEOUT", message, {
    hint: `${UNDONE} Look at \`afterimage status\`, and allow more with --timeout.`,
  });
}

export function cancelled(): MemberError {
  return new MemberError("SWITCHOVER_CANCELLED", "the hand-over was cancelled", { hint: UNDONE });
}

export function refused(to: string, error: ErrorView | null): MemberError {
  const reason = error === null ? "" : `: ${error.message}`;
  return new MemberError("SWITCHOVER_REFUSED", `${to} does not take over${reason}`, { hint: UNDONE });
}

export function running(name: string): MemberError {
  return new MemberError("SWITCHOVER_RUNNING", `${name} is handing over already`, {
    hint: "Wait for it, or undo it with `afterimage switchover --cancel`.",
  });
}

export function nothingOffered(name: string): MemberError {
  return new MemberError("SWITCHOVER_NONE", `${name} hands over to nobody`, { hint: SEE_STATUS });
}

export function offeredTo(to: string, other: string): MemberError {
  return new MemberError("SWITCHOVER_TARGET", `the role is offered to ${to}, not to ${other}`, {
    hint: `--force ${to} serves again whatever ${to} does; make sure that nobody writes there.`,
  });
}

/** Neither done nor undone. */
export function unsettled(to: string): MemberError {
  const message = `${to} may have taken over, and cannot be asked: the databases stay fenced until it can`;
  return new MemberError("SWITCHOVER_UNSETTLED", message, {
    hint: `Make the mailbox of ${to} reachable, and start its daemon: this member then goes on by itself. If ${to} is lost for good: \`afterimage switchover --cancel --force ${to}\`.`,
  });
}

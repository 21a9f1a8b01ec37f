/** The section `hooks` of a member. */
import { z } from "zod";
import type { HookConfiguration, HookEvent } from "./configuration.ts";
import { absolutePath, duration } from "./value-schemas.ts";

const DAY_MS = 86_400_000;

/** For a user whose home directory is `home`. */
export function hookSchema(home: string) {
  const program = (when: string) => absolutePath(home).optional().describe(when);
  const hooks = {
    timeLimit: duration({ min: 1000, max: DAY_MS, range: "from 1s to 1d" })
      .prefault("60s")
      .describe("A program that runs for longer gets SIGTERM, and 5 s later SIGKILL, with all that it started."),
    beforePromote: program(
      "Before this member becomes operational, by `promote` or because another member hands over. It may veto, see below.",
    ),
    afterPromote: program(
      "This member has become operational, and its databases are writable. Also when a hand-over was undone for which `beforeFence` had been run, with `undone` in `details`: what that one stopped is to be started again.",
    ),
    promoteFailed: program(
      "A promotion was begun, with the consent of `beforePromote` or by force, and given up; once for each epoch that was not begun. `details`: `code`, `message`.",
    ),
    beforeFence: program(
      "This member was operational, has learned of a later epoch, and fences its databases: the moment to let clients go. The fence does not wait for it; `demote` and `switchover` do, and fence nothing when it fails. A switchover runs it at every attempt, with `to` in `details`.",
    ),
    afterFence: program(
      "The same, when all databases are fenced and accept no writes any more; after a switchover, when the other member has taken over.",
    ),
    roleChanged: program(
      "This member has another role than was told last, whichever way it got it; with the old role `null` at its first start.",
    ),
    diverged: program(
      "This mirror has transactions that are in no later epoch; once for each epoch. `details`: `database`, the one that it was found in first, and `message`.",
    ),
    quarantined: program(
      "Files that cannot be integrated were put into `quarantine/`. `details`: `database`, `files` (how many since the last run began), and `path`, `code` and `message` of the last.",
    ),
    alert: program(
      "An [alert](ALERTS.md) was raised or cleared. `details`: the notice. What fails is told again, after 1 s and then ever more rarely, for a day.",
    ),
  } satisfies Record<HookEvent | "timeLimit", z.ZodType>;
  return z
    .strictObject(hooks)
    .transform(({ timeLimit, ...programs }): HookConfiguration => ({ ...programs, timeLimitMs: timeLimit }));
}

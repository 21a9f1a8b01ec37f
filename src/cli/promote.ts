/** `afterimage promote`: makes this mirror the operational member, because that one is lost. */
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { AfterimageError } from "../errors.ts";
import type { PromoteResult } from "../member/member-control.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { dryRunLines } from "./dry-run-lines.ts";
import { EXIT } from "./exit-codes.ts";
import { lossLines } from "./loss-lines.ts";
import type { Register } from "./register.ts";
import { roleLines } from "./role-lines.ts";
import { stepPrinter } from "./step-printer.ts";
import { withControl } from "./with-control.ts";

const ASK_AGAIN_MS = 30_000;

interface PromoteFlags {
  /** Name of the operational member. */
  readonly force?: string;
  readonly dryRun?: boolean;
}

async function promote(args: GlobalOptions & PromoteFlags, io: CommandIo): Promise<number> {
  const { force, dryRun = false } = args;
  const options = { dryRun, ...(force === undefined ? {} : { force }) };
  const attempt = () => withControl(args, io, (control) => control.promote(options, stepPrinter(args, io)));
  const promoted = await untilConsented(attempt, {
    onVeto: (message) => io.err(`${message}; it is asked again in ${ASK_AGAIN_MS / 1000} s`),
  });
  print(args, io, { promoted }, () => (promoted.dryRun ? plannedLines(promoted) : promotedLines(promoted)));
  return EXIT.done;
}

interface ConsentOptions {
  readonly onVeto: (message: string) => void;
  /** 30 s when not given. */
  readonly askAgainMs?: number;
}

/** Makes the attempt again, with all its checks, for as long as the hook beforePromote does not consent. */
export async function untilConsented<T>(attempt: () => Promise<T>, options: ConsentOptions): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof AfterimageError) || error.code !== "PROMOTION_VETOED") throw error;
      options.onVeto(error.message);
    }
    await delay(options.askAgainMs ?? ASK_AGAIN_MS);
  }
}

function plannedLines({ member, steps, losses, untold, roles }: PromoteResult): string[] {
  return [
    ...dryRunLines(steps),
    "It would lose, as far as is known:",
    ...losses.flatMap(lossLines).map((line) => `  ${line}`),
    ...untold.map((name) => `${name} cannot be reached: it may not be started where it cannot reach ${member}`),
    ...roleLines(roles),
  ];
}

function promotedLines({ member, epoch, from, databases, collected, untold, roles }: PromoteResult): string[] {
  const received = databases.map(({ database, position, time, ageSeconds }) => {
    const age = ageSeconds === null ? "" : `, ${Math.round(ageSeconds)} s ago`;
    return `${database}: goes on from ${position ?? "nothing"}${time === null ? "" : `, cut ${time}${age}`}`;
  });
  const gains = collected.map(
    (each) => `${each.database}: ${each.transactions} transactions were got from ${each.from}`,
  );
  const warnings = untold.map(
    (name) => `${name} has not been told yet: do not start it where it cannot reach ${member}`,
  );
  return [
    `${member} is operational in epoch ${epoch}, in place of ${from}`,
    ...gains,
    ...received,
    ...warnings,
    ...roleLines(roles),
  ];
}

export const registerPromote: Register = (program, execute) => {
  program
    .command("promote")
    .description("make this mirror the operational member, when that one is lost")
    .option("--force <operational>", "whatever the operational member, which must be named, does")
    .option("--dry-run", "make every check, and only say what would be done and lost")
    .action((flags: PromoteFlags, command: Command) =>
      execute(command, (globals, io) => promote({ ...globals, ...flags }, io)),
    );
};

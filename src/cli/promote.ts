/** `afterimage promote`: makes this mirror the operational member, because that one is lost. */
import type { Command } from "commander";
import type { PromoteResult } from "../member/member-control.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

interface PromoteArguments extends GlobalOptions {
  /** Name of the operational member. */
  readonly force?: string;
}

async function promote(args: PromoteArguments, io: CommandIo): Promise<number> {
  const { force } = args;
  const promoted = await withControl(args, io, (control) => control.promote(force === undefined ? {} : { force }));
  print(args, io, { promoted }, () => promotedLines(promoted));
  return EXIT.done;
}

function promotedLines({ member, epoch, from, databases, untold }: PromoteResult): string[] {
  const received = databases.map(({ database, position, time, ageSeconds }) => {
    const age = ageSeconds === null ? "" : `, ${Math.round(ageSeconds)} s ago`;
    return `${database}: goes on from ${position ?? "nothing"}${time === null ? "" : `, cut ${time}${age}`}`;
  });
  const warnings = untold.map(
    (name) => `${name} has not been told yet: do not start it where it cannot reach ${member}`,
  );
  return [`${member} is operational in epoch ${epoch}, in place of ${from}`, ...received, ...warnings];
}

export const registerPromote: Register = (program, execute) => {
  program
    .command("promote")
    .description("make this mirror the operational member, when that one is lost")
    .option("--force <operational>", "whatever the operational member, which must be named, does")
    .action((flags: { force?: string }, command: Command) =>
      execute(command, (globals, io) => promote({ ...globals, ...flags }, io)),
    );
};

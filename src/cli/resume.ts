/** `afterimage resume`: ends a pause of integration, and where it was to stop. */
import type { Command } from "commander";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { orderLines } from "./order-lines.ts";
import { parseUntil } from "./parse-until.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

interface ResumeFlags {
  readonly until?: string;
}

interface ResumeArguments extends GlobalOptions, ResumeFlags {
  /** Empty for all. */
  readonly databases: readonly string[];
}

async function resume(args: ResumeArguments, io: CommandIo): Promise<number> {
  const { databases, until } = args;
  const names = databases.length > 0 ? databases : undefined;
  const options = until === undefined ? {} : { until };
  const resumed = await withControl(args, io, (control) => control.resume(names, options));
  print(args, io, { resumed }, () => orderLines(resumed));
  return EXIT.done;
}

export const registerResume: Register = (program, execute) => {
  program
    .command("resume")
    .description("integrate again after `pause` (mirrors)")
    .argument("[database...]", "all when none is named")
    .option("--until <txid|time>", "stop before the first segment that is beyond, until the next `resume`", parseUntil)
    .action((databases: string[], flags: ResumeFlags, command: Command) =>
      execute(command, (globals, io) => resume({ ...globals, ...flags, databases }, io)),
    );
};

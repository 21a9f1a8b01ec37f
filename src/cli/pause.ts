/** `afterimage pause`: stops integration on this mirror, which goes on receiving and passing on. */
import type { Command } from "commander";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { orderLines } from "./order-lines.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

interface PauseArguments extends GlobalOptions {
  /** Empty for all. */
  readonly databases: readonly string[];
}

async function pause(args: PauseArguments, io: CommandIo): Promise<number> {
  const { databases } = args;
  const paused = await withControl(args, io, (control) => control.pause(databases.length > 0 ? databases : undefined));
  print(args, io, { paused }, () => orderLines(paused));
  return EXIT.done;
}

export const registerPause: Register = (program, execute) => {
  program
    .command("pause")
    .description("stop integration until `resume` (mirrors); receiving and passing on go on")
    .argument("[database...]", "all, also those that come later, when none is named")
    .action((databases: string[], _options: object, command: Command) =>
      execute(command, (globals, io) => pause({ ...globals, databases }, io)),
    );
};

/** `afterimage fence`: makes databases read-only for every application; it stays so when nothing of Afterimage runs. */
import type { Command } from "commander";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { fenceLines } from "./fence-lines.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

interface FenceArguments extends GlobalOptions {
  /** Empty for all. */
  readonly databases: readonly string[];
}

export async function fence(args: FenceArguments, io: CommandIo): Promise<number> {
  const { databases } = args;
  const results = await withControl(args, io, (control) => control.fence(databases.length > 0 ? databases : undefined));
  print(args, io, { databases: results }, () => fenceLines(results));
  return EXIT.done;
}

export const registerFence: Register = (program, execute) => {
  program
    .command("fence")
    .description("make databases read-only for every application, durably")
    .argument("[database...]", "all when none is named")
    .action((databases: string[], _options: object, command: Command) =>
      execute(command, (globals, io) => fence({ ...globals, databases }, io)),
    );
};

/** `afterimage unfence`: lets applications write to fenced databases again. Connections that are open must be opened again. */
import type { Command } from "commander";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { fenceLines } from "./fence-lines.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

interface UnfenceArguments extends GlobalOptions {
  /** Empty for all. */
  readonly databases: readonly string[];
}

export async function unfence(args: UnfenceArguments, io: CommandIo): Promise<number> {
  const { databases } = args;
  const results = await withControl(args, io, (control) =>
    control.unfence(databases.length > 0 ? databases : undefined),
  );
  print(args, io, { databases: results }, () => fenceLines(results));
  return EXIT.done;
}

export const registerUnfence: Register = (program, execute) => {
  program
    .command("unfence")
    .description("let applications write again (operational member)")
    .argument("[database...]", "all when none is named")
    .action((databases: string[], _options: object, command: Command) =>
      execute(command, (globals, io) => unfence({ ...globals, databases }, io)),
    );
};

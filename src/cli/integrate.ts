/** `afterimage integrate`: makes what has been received part of this mirror's databases, now. */
import type { Command } from "commander";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

interface IntegrateArguments extends GlobalOptions {
  /** Empty for all. */
  readonly databases: readonly string[];
}

export async function integrate(args: IntegrateArguments, io: CommandIo): Promise<number> {
  const { databases } = args;
  const names = databases.length > 0 ? databases : undefined;
  const integrated = await withControl(args, io, (control) => control.integrate(names));
  print(args, io, { integrated }, () =>
    integrated.map(({ database, transactions, position }) =>
      position === null
        ? `${database}: waiting for its snapshot`
        : `${database}: ${transactions} transactions integrated; at ${position}`,
    ),
  );
  return EXIT.done;
}

export const registerIntegrate: Register = (program, execute) => {
  program
    .command("integrate")
    .description("integrate what has been received now (mirrors)")
    .argument("[database...]", "all when none is named")
    .action((databases: string[], _options: object, command: Command) =>
      execute(command, (globals, io) => integrate({ ...globals, databases }, io)),
    );
};

/** `afterimage rotate`: cuts what the current journal holds into segments, now. */
import type { Command } from "commander";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

interface RotateArguments extends GlobalOptions {
  /** Empty for all. */
  readonly databases: readonly string[];
}

export async function rotate(args: RotateArguments, io: CommandIo): Promise<number> {
  const { databases } = args;
  const rotated = await withControl(args, io, (control) =>
    control.rotate(databases.length > 0 ? databases : undefined),
  );
  print(args, io, { rotated }, () =>
    rotated.map(({ database, segments, position }) => {
      const cut = segments.length === 0 ? "nothing new" : segments.join(" ");
      return `${database}: ${cut}; at ${position}`;
    }),
  );
  return EXIT.done;
}

export const registerRotate: Register = (program, execute) => {
  program
    .command("rotate")
    .description("cut the current journal into a segment now (operational member)")
    .argument("[database...]", "all when none is named")
    .action((databases: string[], _options: object, command: Command) =>
      execute(command, (globals, io) => rotate({ ...globals, databases }, io)),
    );
};

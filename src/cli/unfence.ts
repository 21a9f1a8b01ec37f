/** `afterimage unfence`: lets applications write to fenced databases again. Connections that are open must be opened again. */
import type { Command } from "commander";
import { knownRoles } from "../member/known-roles.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { fenceLines } from "./fence-lines.ts";
import type { Register } from "./register.ts";
import { roleLines } from "./role-lines.ts";
import { withControl } from "./with-control.ts";

interface UnfenceFlags {
  readonly dryRun?: boolean;
}

interface UnfenceArguments extends GlobalOptions, UnfenceFlags {
  /** Empty for all. */
  readonly databases: readonly string[];
}

export async function unfence(args: UnfenceArguments, io: CommandIo): Promise<number> {
  const { databases, dryRun = false } = args;
  const { results, roles } = await withControl(args, io, async (control) => ({
    results: await control.unfence(databases.length > 0 ? databases : undefined, { dryRun }),
    roles: knownRoles(await control.status()),
  }));
  print(args, io, { dryRun, databases: results, roles }, () => [
    ...fenceLines(results, { dryRun }),
    ...roleLines(roles),
  ]);
  return EXIT.done;
}

export const registerUnfence: Register = (program, execute) => {
  program
    .command("unfence")
    .description("let applications write again (operational member)")
    .argument("[database...]", "all when none is named")
    .option("--dry-run", "only say what would be changed")
    .action((databases: string[], flags: UnfenceFlags, command: Command) =>
      execute(command, (globals, io) => unfence({ ...globals, ...flags, databases }, io)),
    );
};

/** `afterimage fence`: makes databases read-only for every application; it stays so when nothing of Afterimage runs. */
import type { Command } from "commander";
import { knownRoles } from "../member/known-roles.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { fenceLines } from "./fence-lines.ts";
import type { Register } from "./register.ts";
import { roleLines } from "./role-lines.ts";
import { withControl } from "./with-control.ts";

interface FenceFlags {
  readonly dryRun?: boolean;
}

interface FenceArguments extends GlobalOptions, FenceFlags {
  /** Empty for all. */
  readonly databases: readonly string[];
}

export async function fence(args: FenceArguments, io: CommandIo): Promise<number> {
  const { databases, dryRun = false } = args;
  const { results, roles } = await withControl(args, io, async (control) => ({
    results: await control.fence(databases.length > 0 ? databases : undefined, { dryRun }),
    roles: knownRoles(await control.status()),
  }));
  print(args, io, { dryRun, databases: results, roles }, () => [
    ...fenceLines(results, { dryRun }),
    ...roleLines(roles),
  ]);
  return EXIT.done;
}

export const registerFence: Register = (program, execute) => {
  program
    .command("fence")
    .description("make databases read-only for every application, durably")
    .argument("[database...]", "all when none is named")
    .option("--dry-run", "only say what would be changed")
    .action((databases: string[], flags: FenceFlags, command: Command) =>
      execute(command, (globals, io) => fence({ ...globals, ...flags, databases }, io)),
    );
};

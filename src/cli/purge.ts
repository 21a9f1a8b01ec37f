/** `afterimage purge`: removes from this member's journal what nobody needs any more. */
import type { Command } from "commander";
import type { PurgeResult } from "../member/member-control.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

interface PurgeArguments extends GlobalOptions {
  readonly dryRun?: boolean;
}

export async function purge(args: PurgeArguments, io: CommandIo): Promise<number> {
  const dryRun = args.dryRun ?? false;
  const purged = await withControl(args, io, (control) => control.purge({ dryRun }));
  print(args, io, { dryRun, purged }, () => purged.flatMap((result) => purgeLines(result, dryRun)));
  return EXIT.done;
}

function purgeLines({ database, removed, removedBytes, bytes }: PurgeResult, dryRun: boolean): string[] {
  if (removed.length === 0) return [`${database}: nothing may go; ${bytes} bytes in the journal`];
  const what = `${removed.length} ${removed.length === 1 ? "file" : "files"}, ${removedBytes} bytes`;
  const head = dryRun ? `would remove ${what}` : `removed ${what}`;
  return [`${database}: ${head}; ${bytes} bytes in the journal now`, ...removed.map((path) => `  ${path}`)];
}

export const registerPurge: Register = (program, execute) => {
  program
    .command("purge")
    .description("remove from the journal what neither retention nor any member asks for")
    .option("--dry-run", "only say what would be removed")
    .action((options: { dryRun?: boolean }, command: Command) =>
      execute(command, (globals, io) => purge({ ...globals, ...options }, io)),
    );
};

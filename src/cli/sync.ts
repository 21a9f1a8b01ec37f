/** `afterimage sync`: waits until mirrors have integrated everything that was committed before the call. */
import type { Command } from "commander";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { parseNames } from "./parse-names.ts";
import { parseTimeout } from "./parse-timeout.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

interface SyncArguments extends GlobalOptions {
  readonly members?: readonly string[];
  readonly timeout?: number;
}

export async function sync(args: SyncArguments, io: CommandIo): Promise<number> {
  const { members, timeout: timeoutMs } = args;
  const synced = await withControl(args, io, (control) =>
    control.sync({ ...(members === undefined ? {} : { members }), ...(timeoutMs === undefined ? {} : { timeoutMs }) }),
  );
  print(args, io, { synced }, () =>
    synced.map(({ member, database, integrated }) => `${member}: ${database} at ${integrated}`),
  );
  return EXIT.done;
}

export const registerSync: Register = (program, execute) => {
  program
    .command("sync")
    .description("wait until mirrors have everything that was committed before the call (operational member)")
    .option("--members <names>", "comma-separated; all members when not given", parseNames)
    .option("--timeout <duration>", "give up after this time (5s)", parseTimeout)
    .action((options: { members?: string[]; timeout?: number }, command: Command) =>
      execute(command, (globals, io) => sync({ ...globals, ...options }, io)),
    );
};

/** `afterimage snapshot`: writes snapshots of this member's databases into its journal, now. */
import type { Command } from "commander";
import type { SnapshotResult } from "../member/member-control.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { parseNames } from "./parse-names.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

interface SnapshotArguments extends GlobalOptions {
  readonly databases?: readonly string[];
}

export async function snapshot(args: SnapshotArguments, io: CommandIo): Promise<number> {
  const snapshots = await withControl(args, io, (control) => control.snapshot(args.databases));
  print(args, io, { snapshots }, () => snapshots.map(line));
  return EXIT.done;
}

function line({ database, written }: SnapshotResult): string {
  if (written === null) return `${database}: nothing new since the last snapshot, or one is being written`;
  return `${database}: ${written.pages} pages, ${written.bytes} bytes`;
}

export const registerSnapshot: Register = (program, execute) => {
  program
    .command("snapshot")
    .description("write a snapshot of databases into this member's journal now")
    .option("--databases <names>", "comma-separated; all when not given", parseNames)
    .action((options: { databases?: string[] }, command: Command) =>
      execute(command, (globals, io) => snapshot({ ...globals, ...options }, io)),
    );
};

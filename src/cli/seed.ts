/** `afterimage seed`: begins a mirror's copy with a file that is there already, and fetches only what that file lacks. */
import { existsSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { configuredPath } from "../config/database-pattern.ts";
import { CliError } from "./cli-error.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { openConfiguration } from "./open-configuration.ts";
import { ProgressBar } from "./progress-bar.ts";
import type { Register } from "./register.ts";
import { copySeed } from "./seed-file.ts";
import { resyncedLine, waitForResync } from "./wait-for-resync.ts";
import { withControl } from "./with-control.ts";

interface SeedArguments extends GlobalOptions {
  readonly database: string;
  readonly from: string;
  readonly yes?: boolean;
}

export async function seed(args: SeedArguments, io: CommandIo): Promise<number> {
  const { database, yes: replace = false } = args;
  const { configuration, member } = openConfiguration(args, io);
  const path = configuredPath(member, database);
  return await withControl(args, io, async (control) => {
    // Refuses what is no mirror, or has no such database, before anything is copied.
    await control.rebuild({ databases: [database], dryRun: true });
    if (path !== null && existsSync(path) && !replace) {
      throw new CliError("NOT_CONFIRMED", `there is a copy of ${database} already`, {
        path,
        hint: "Give --yes to replace it; `afterimage rebuild` makes it equal to the upstream's instead.",
      });
    }
    const file = `${path}.afterimage-seed`;
    const bar = new ProgressBar(args, io);
    const onProgress = (bytes: number, totalBytes: number) => {
      bar.show({ what: database, step: "copying", bytes, totalBytes });
    };
    const source = resolve(io.workingDirectory, args.from);
    await copySeed(source, file, { journal: configuration.journal, onProgress }).finally(() => bar.end());
    try {
      await control.seed({ database, file, replace });
    } catch (error) {
      rmSync(file, { force: true });
      throw error;
    }
    const [copy] = await waitForResync(args, io, { control, databases: [database] });
    print(args, io, { copy: copy ?? null }, () => (copy === undefined ? [] : [resyncedLine(copy)]));
    return copy?.state === "failed" ? EXIT.failed : EXIT.done;
  });
}

export const registerSeed: Register = (program, execute) => {
  program
    .command("seed")
    .description("begin a mirror's copy with a copy, a backup or a snapshot, and fetch only what differs")
    .argument("<database>", "its name")
    .requiredOption(
      "--from <file>",
      "a database file, with its -wal beside it if it has one, or a snapshot (.ltx); it is only read",
    )
    .option("--yes", "replace the copy that is there")
    .action((database: string, options: { from: string; yes?: boolean }, command: Command) =>
      execute(command, (globals, io) => seed({ ...globals, ...options, database }, io)),
    );
};

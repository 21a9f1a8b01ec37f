/** `afterimage config check`: every fault of the configuration, with file, line and column. */
import type { Command } from "commander";
import { formatFault } from "../config/config-error.ts";
import { checkConfiguration } from "../config/load-configuration.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { configurationPath } from "./open-configuration.ts";
import type { Register } from "./register.ts";

export async function configCheck(args: GlobalOptions, io: CommandIo): Promise<number> {
  const file = configurationPath(args, io);
  const faults = checkConfiguration(file, { environment: io.environment });
  const ok = faults.length === 0;
  print(args, io, { file, ok, faults }, () =>
    ok ? [`${file}: no faults`] : faults.map((fault) => formatFault(file, fault)),
  );
  return ok ? EXIT.done : EXIT.usage;
}

export const registerConfigCheck: Register = (program, execute) => {
  program
    .command("config")
    .description("the configuration file")
    .command("check")
    .description("report every fault of the configuration file, with its line")
    .action((_options: object, command: Command) => execute(command, configCheck));
};

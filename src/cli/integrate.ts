/** `afterimage integrate`: makes what has been received part of this mirror's databases, now. */
import type { Command } from "commander";
import type { IntegrationResult } from "../member/member-control.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { parseUntil } from "./parse-until.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

interface IntegrateFlags {
  readonly until?: string;
  readonly now?: boolean;
}

interface IntegrateArguments extends GlobalOptions, IntegrateFlags {
  /** Empty for all. */
  readonly databases: readonly string[];
}

/** Ends with `refused` when a pause has kept something from being integrated. */
export async function integrate(args: IntegrateArguments, io: CommandIo): Promise<number> {
  const { databases, until, now = false } = args;
  const names = databases.length > 0 ? databases : undefined;
  const options = { now, ...(until === undefined ? {} : { until }) };
  const integrated = await withControl(args, io, (control) => control.integrate(names, options));
  print(args, io, { integrated }, () => integrated.map(resultLine));
  return integrated.some(({ hold }) => hold?.by === "operator") ? EXIT.refused : EXIT.done;
}

function resultLine({ database, transactions, position, hold }: IntegrationResult): string {
  const held = hold === null ? "" : `; ${hold.message}`;
  return position === null
    ? `${database}: waiting for its snapshot${held}`
    : `${database}: ${transactions} transactions integrated; at ${position}${held}`;
}

export const registerIntegrate: Register = (program, execute) => {
  program
    .command("integrate")
    .description("integrate what has been received now (mirrors)")
    .argument("[database...]", "all when none is named")
    .option("--until <txid|time>", "stop before the first segment that is beyond, until the next `resume`", parseUntil)
    .option("--now", "leave out `delay` and the schedule once")
    .action((databases: string[], flags: IntegrateFlags, command: Command) =>
      execute(command, (globals, io) => integrate({ ...globals, ...flags, databases }, io)),
    );
};

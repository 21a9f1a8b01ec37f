/** `afterimage ship`: puts everything that waits into the followers' mailboxes, now. */
import type { Command } from "commander";
import type { ShippedMember } from "../member/member-control.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { parseNames } from "./parse-names.ts";
import type { Register } from "./register.ts";
import { withControl } from "./with-control.ts";

interface ShipArguments extends GlobalOptions {
  readonly members?: readonly string[];
}

export async function ship(args: ShipArguments, io: CommandIo): Promise<number> {
  const { members } = args;
  const shipped = await withControl(args, io, (control) => control.ship(members === undefined ? {} : { members }));
  print(args, io, { shipped }, () => (shipped.length === 0 ? ["no member follows this one"] : shipped.flatMap(lines)));
  return shipped.every(({ error }) => error === null) ? EXIT.done : EXIT.unreachable;
}

function lines({ member, databases, error }: ShippedMember): string[] {
  const positions = databases.map(({ database, shipped, end }) => {
    const all = shipped >= end;
    return `${member}: ${database} ${all ? `has all up to ${end}` : `has ${shipped} of ${end}`}`;
  });
  if (error === null) return positions;
  const what = `${member}: error ${error.code}: ${error.message}`;
  return [...positions, what, ...(error.hint === null ? [] : [`  next: ${error.hint}`])];
}

export const registerShip: Register = (program, execute) => {
  program
    .command("ship")
    .description("ship everything that waits to the members that follow this one, now")
    .option("--members <names>", "comma-separated; all that follow this one when not given", parseNames)
    .action((options: { members?: string[] }, command: Command) =>
      execute(command, (globals, io) => ship({ ...globals, ...options }, io)),
    );
};

/** `afterimage demote`: the operational member gives its role up, and nobody has it until a member is promoted. */
import type { Command } from "commander";
import type { DemoteResult } from "../member/demotion.ts";
import { CliError } from "./cli-error.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { dryRunLines } from "./dry-run-lines.ts";
import { EXIT } from "./exit-codes.ts";
import type { Register } from "./register.ts";
import { roleLines } from "./role-lines.ts";
import { stepPrinter } from "./step-printer.ts";
import { withControl } from "./with-control.ts";

interface DemoteFlags {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

async function demote(args: GlobalOptions & DemoteFlags, io: CommandIo): Promise<number> {
  return await withControl(args, io, async (control) => {
    if (args.dryRun === true || args.yes !== true) {
      const planned = await control.demote({ dryRun: true });
      if (args.dryRun === true) {
        print(args, io, { demoted: planned }, () => plannedLines(planned));
        return EXIT.done;
      }
      if (args.json !== true) for (const line of plannedLines(planned)) io.err(line);
      throw new CliError("NOT_CONFIRMED", "nothing was changed: nobody would be operational afterwards", {
        hint: "Run the command again with --yes.",
      });
    }
    const demoted = await control.demote({}, stepPrinter(args, io));
    print(args, io, { demoted }, () => demotedLines(demoted));
    return EXIT.done;
  });
}

function plannedLines(planned: DemoteResult): string[] {
  return [...dryRunLines(planned.steps), ...successorLines(planned)];
}

function demotedLines(demoted: DemoteResult): string[] {
  const { member, epoch, databases, roles } = demoted;
  const head = `${member} was operational in epoch ${epoch}; now nobody is, until a member is promoted`;
  const ends = databases.map(({ database, end }) => `${database}: ends at ${end ?? "nothing"}`);
  return [head, ...ends, ...successorLines(demoted), ...roleLines(roles)];
}

function successorLines({ member, followers }: DemoteResult): string[] {
  return followers.map(({ member: name, reachable, lacks }) => {
    const missing = Object.entries(lacks).filter(([, count]) => count !== 0);
    if (missing.length === 0) return `${name} has everything: it can be promoted without a loss`;
    const what = missing.map(([database, count]) => `${count ?? "all"} transactions of ${database}`).join(", ");
    return `${name} lacks ${what}${reachable ? "" : ", and cannot be reached"}: wait for it while ${member} runs`;
  });
}

export const registerDemote: Register = (program, execute) => {
  program
    .command("demote")
    .description("give up the operational member's role: fence, ship the rest, and wait for a promotion")
    .option("--dry-run", "only say what would be done")
    .option("--yes", "do it; without it, only say what would be done")
    .action((flags: DemoteFlags, command: Command) =>
      execute(command, (globals, io) => demote({ ...globals, ...flags }, io)),
    );
};

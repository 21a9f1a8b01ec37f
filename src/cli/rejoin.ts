/** `afterimage rejoin`: makes a member that was passed over follow again, and keeps what only it has. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { REPORT_TEXT_NAME } from "../divergence/write-report.ts";
import type { MemberControl, RejoinDatabase, RejoinResult } from "../member/member-control.ts";
import { CliError } from "./cli-error.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import type { Register } from "./register.ts";
import { roleLines } from "./role-lines.ts";
import { stepPrinter } from "./step-printer.ts";
import { withControl } from "./with-control.ts";

interface RejoinFlags {
  readonly dryRun?: boolean;
  readonly wait?: boolean;
  readonly yes?: boolean;
}

async function rejoin(args: GlobalOptions & RejoinFlags, io: CommandIo): Promise<number> {
  return await withControl(args, io, async (control) => {
    const plan = await control.rejoin({ dryRun: true });
    if (args.dryRun === true) {
      print(args, io, { plan }, () => [...planLines(plan), ...roleLines(plan.roles)]);
      return EXIT.done;
    }
    if (args.json !== true && args.quiet !== true) for (const line of planLines(plan)) io.out(line);
    if (plan.databases.some(({ state }) => state === "diverged") && args.yes !== true) {
      throw new CliError("NOT_CONFIRMED", "nothing was changed: the copies are made those of the later epoch", {
        hint: "What only this member has is kept. Run the command again with --yes.",
      });
    }
    return await carryOut(args, io, control);
  });
}

async function carryOut(args: GlobalOptions & RejoinFlags, io: CommandIo, control: MemberControl): Promise<number> {
  const rejoined = await control.rejoin({ wait: args.wait ?? true }, stepPrinter(args, io));
  print(args, io, { rejoined }, () => [...rejoined.databases.flatMap(resultLines), ...roleLines(rejoined.roles)]);
  return EXIT.done;
}

function planLines({ member, epoch, operational, databases }: RejoinResult): string[] {
  const title = `${operational} is operational in epoch ${epoch}; ${member} follows it, with`;
  return [title, ...databases.map((each) => `  ${each.database}: ${whatIsDone(each)}`)];
}

function whatIsDone({ transactions, fork, state }: RejoinDatabase): string {
  if (state === "follows") return "nothing to keep, and nothing to copy";
  if (state === "rejoining") return "what was begun before";
  const count = transactions === null ? "what was committed here last" : `${transactions} transactions`;
  const after = fork === null ? "" : ` after ${fork}`;
  return `${count}${after}, which no later epoch has: kept aside here, and the pages that differ are fetched`;
}

function resultLines({ database, directory, state }: RejoinDatabase): string[] {
  if (directory === null) return [`${database}: follows; nothing was copied`];
  const restore = `  afterimage restore ${database} --from ${directory} --to FILE`;
  if (state === "rejoining") return [`${database}: kept in ${directory}; the daemon does the rest`, restore];
  const report = join(directory, REPORT_TEXT_NAME);
  const what = existsSync(report) ? `what differs is in ${report}` : `kept in ${directory}, too damaged for a report`;
  return [`${database}: follows; ${what}`, restore];
}

export const registerRejoin: Register = (program, execute) => {
  program
    .command("rejoin")
    .description("make this member, which others passed over, follow again, and keep what only it has")
    .option("--dry-run", "only say what only this member has")
    .option("--no-wait", "return as soon as it is kept; the daemon goes on")
    .option("--yes", "do it; without it, only say what would be done when there is something to keep")
    .action((flags: RejoinFlags, command: Command) =>
      execute(command, (globals, io) => rejoin({ ...globals, ...flags }, io)),
    );
};

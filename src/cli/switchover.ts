/** `afterimage switchover`: the operational member hands its role over to another one. */
import { type Command, Option } from "commander";
import type { CancelResult, MemberControl, SwitchoverOptions, SwitchoverResult } from "../member/member-control.ts";
import { CliError } from "./cli-error.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { Interruption } from "./interruption.ts";
import { parseTimeout } from "./parse-timeout.ts";
import type { Register } from "./register.ts";
import { roleLines } from "./role-lines.ts";
import { stepPrinter } from "./step-printer.ts";
import { withControl } from "./with-control.ts";

interface SwitchoverArguments extends GlobalOptions {
  readonly to?: string;
  /** Milliseconds. */
  readonly timeout?: number;
  readonly dryRun?: boolean;
  readonly cancel?: boolean;
  readonly force?: string;
}

async function switchover(args: SwitchoverArguments, io: CommandIo): Promise<number> {
  const { to, timeout: timeoutMs, dryRun = false, cancel = false, force } = args;
  if (cancel) {
    const options = force === undefined ? {} : { force };
    const cancelled = await withControl(args, io, (control) => control.cancelSwitchover(options));
    print(args, io, { cancelled }, () => cancelledLines(cancelled));
    return EXIT.done;
  }
  if (force !== undefined) throw new CliError("USAGE", "--force is for --cancel", { hint: "see `--help`" });
  if (to === undefined)
    throw new CliError("USAGE", "no member was named", { hint: "name it with --to, or see `--help`" });
  const options = { to, dryRun, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  const result = await withControl(args, io, (control) => handOver(control, options, args, io));
  print(args, io, { switchover: result }, () => resultLines(result));
  return EXIT.done;
}

/** A signal undoes what was begun, and does not end the command before it is undone, or too late for that. */
async function handOver(
  control: MemberControl,
  options: SwitchoverOptions,
  args: GlobalOptions,
  io: CommandIo,
): Promise<SwitchoverResult> {
  using interruption = new Interruption();
  interruption.signal.addEventListener("abort", () => {
    // What comes of it is what the command itself then ends with.
    control.cancelSwitchover({}).catch(() => undefined);
  });
  return await control.switchover(options, stepPrinter(args, io));
}

function resultLines({ from, to, epoch, dryRun, interruptedMs, roles }: SwitchoverResult): string[] {
  if (dryRun)
    return [
      `Nothing is against handing over from ${from} to ${to}, in epoch ${epoch}. These steps would be taken:`,
      `- ${to} is brought level while applications go on`,
      `- the databases of ${from} are fenced, and the rest is shipped and integrated`,
      `- ${to} takes the role, and its databases become writable`,
      `- ${from} follows ${to}`,
    ];
  const interruption = interruptedMs === null ? "" : `; writes were refused for ${(interruptedMs / 1000).toFixed(2)} s`;
  return [`${to} is operational in epoch ${epoch}, in place of ${from}${interruption}`, ...roleLines(roles)];
}

function cancelledLines({ roles }: CancelResult): string[] {
  return ["The hand-over that was under way is settled:", ...roleLines(roles)];
}

export const registerSwitchover: Register = (program, execute) => {
  program
    .command("switchover")
    .description("hand the operational member's role over to another one, with nothing lost (operational member)")
    .option("--to <member>", "who is to be operational")
    .option("--timeout <duration>", "undo everything when it takes longer (60s)", parseTimeout)
    .option("--dry-run", "only check whether it can be done")
    .addOption(new Option("--cancel", "undo the hand-over that is under way").conflicts(["to", "dryRun"]))
    .option(
      "--force <member>",
      "with --cancel: although nobody knows whether the member, which must be named, has taken over",
    )
    .action((flags: Omit<SwitchoverArguments, keyof GlobalOptions>, command: Command) =>
      execute(command, (globals, io) => switchover({ ...globals, ...flags }, io)),
    );
};

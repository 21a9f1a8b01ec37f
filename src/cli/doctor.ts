/** `afterimage doctor`: whether this machine is fit for its part in the mirror set. It changes nothing. */
import type { Command } from "commander";
import { ConfigError, formatFault } from "../config/config-error.ts";
import { AfterimageError } from "../errors.ts";
import { type CheckResult, failed, failure, ok, worstLevel } from "../member/check-result.ts";
import { checkLines } from "./check-lines.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { nagiosCode, nagiosLine } from "./nagios.ts";
import { openConfiguration, type Selection } from "./open-configuration.ts";
import type { Register } from "./register.ts";
import { showHostKey } from "./show-host-key.ts";

interface DoctorFlags {
  readonly showHostKey?: string;
  readonly nagios?: boolean;
}

export async function doctor(args: GlobalOptions & DoctorFlags, io: CommandIo): Promise<number> {
  if (args.showHostKey !== undefined) return await showHostKey({ ...args, target: args.showHostKey }, io);
  const results = await examine(args, io);
  if (args.nagios === true) {
    io.out(nagiosLine(results));
    return nagiosCode(results);
  }
  const level = worstLevel(results);
  print(args, io, { ok: level !== "FAIL", level, checks: results }, () =>
    results.flatMap((result) => checkLines(result, args)),
  );
  return level === "FAIL" ? EXIT.failed : EXIT.done;
}

/** The checks are loaded only now: with SQLite they take longer to load than a host key takes to be shown. */
async function examine(args: GlobalOptions, io: CommandIo): Promise<CheckResult[]> {
  const { checkVersions } = await import("../doctor/check-versions.ts");
  const { diagnose } = await import("../doctor/diagnose.ts");
  const opened = tryOpen(args, io);
  if ("check" in opened) return [opened, ...checkVersions()];
  const { configuration, member } = opened;
  const found = ok("configuration", `${configuration.path}: no faults; this is ${member.name}`);
  return [found, ...checkVersions(), ...(await diagnose(opened))];
}

function tryOpen(args: GlobalOptions, io: CommandIo): Selection | CheckResult {
  try {
    return openConfiguration(args, io);
  } catch (error) {
    if (!(error instanceof AfterimageError)) throw error;
    const [fault] = error instanceof ConfigError ? error.faults : [];
    if (fault === undefined) return failed("configuration", error);
    const count = error instanceof ConfigError ? error.faults.length : 1;
    const others = count === 1 ? "" : ` (and ${count - 1} more)`;
    const message = `${formatFault(error.path ?? "", fault)}${others}`;
    return failure("configuration", message, "`afterimage config check` shows every fault.");
  }
}

export const registerDoctor: Register = (program, execute) => {
  program
    .command("doctor")
    .description("check whether this machine is fit for its part: configuration, databases, space, the other mailboxes")
    .option("--show-host-key <member|host[:port]>", "only show an SSH server's host key, to compare and pin")
    .option("--nagios", "one line, and the exit codes of a monitoring plugin: 0 good, 1 warning, 2 critical")
    .action((flags: DoctorFlags, command: Command) =>
      execute(command, (globals, io) => doctor({ ...globals, ...flags }, io)),
    );
};

/** The command line: which commands there are, the flags that all of them take, and how a command ends. */
import { Command, CommanderError } from "commander";
import { programVersion } from "../program-version.ts";
import { registerBackup } from "./backup.ts";
import { registerCheck } from "./check.ts";
import { CliError } from "./cli-error.ts";
import type { CommandIo, GlobalOptions } from "./command-io.ts";
import { registerCompletion } from "./completion.ts";
import { registerConfigCheck } from "./config-check.ts";
import { registerDemo } from "./demo.ts";
import { registerDemote } from "./demote.ts";
import { registerDoctor } from "./doctor.ts";
import { registerDrill } from "./drill.ts";
import { registerEvents } from "./events.ts";
import { EXIT, EXIT_MEANINGS, exitCodeOf } from "./exit-codes.ts";
import { registerFence } from "./fence.ts";
import { registerHistory } from "./history.ts";
import { registerInit } from "./init.ts";
import { registerInspect } from "./inspect.ts";
import { registerIntegrate } from "./integrate.ts";
import { registerMan } from "./man.ts";
import { registerPause } from "./pause.ts";
import { printError } from "./print-error.ts";
import { registerPromote } from "./promote.ts";
import { registerPurge } from "./purge.ts";
import { registerRebuild } from "./rebuild.ts";
import type { Execute, Register } from "./register.ts";
import { registerRejoin } from "./rejoin.ts";
import { registerReload } from "./reload.ts";
import { registerRestore } from "./restore.ts";
import { registerResume } from "./resume.ts";
import { registerRotate } from "./rotate.ts";
import { registerRun } from "./run.ts";
import { registerSalvage } from "./salvage.ts";
import { registerSeed } from "./seed.ts";
import { registerSegments } from "./segments.ts";
import { registerShip } from "./ship.ts";
import { registerSnapshot } from "./snapshot.ts";
import { registerStatus } from "./status.ts";
import { registerSwitchover } from "./switchover.ts";
import { registerSync } from "./sync.ts";
import { registerUnfence } from "./unfence.ts";
import { registerValidate } from "./validate.ts";
import { registerVerify } from "./verify.ts";
import { registerWhoisOperational } from "./whois-operational.ts";

/** In the order of the help text: as one meets them. */
const COMMANDS: readonly Register[] = [
  registerInit,
  registerConfigCheck,
  registerDoctor,
  registerRun,
  registerReload,
  registerStatus,
  registerCheck,
  registerEvents,
  registerHistory,
  registerWhoisOperational,
  registerRotate,
  registerShip,
  registerSync,
  registerIntegrate,
  registerPause,
  registerResume,
  registerSegments,
  registerInspect,
  registerVerify,
  registerSnapshot,
  registerPurge,
  registerBackup,
  registerRestore,
  registerRebuild,
  registerSeed,
  registerSalvage,
  registerSwitchover,
  registerPromote,
  registerRejoin,
  registerValidate,
  registerDrill,
  registerDemote,
  registerFence,
  registerUnfence,
  registerDemo,
  registerCompletion,
  registerMan,
];

const EXIT_CODES_HELP = `
Exit codes: ${Object.values(EXIT_MEANINGS)
  .map((meaning, code) => `${code} ${meaning}`)
  .join("; ")}.`;

/** Runs the command that `argv` (without program names) asks for, and resolves to the exit code. Throws nothing. */
export async function runProgram(argv: readonly string[], io: CommandIo): Promise<number> {
  let exitCode: number = EXIT.done;
  const execute: Execute = async (command, action) => {
    exitCode = await action(command.optsWithGlobals<GlobalOptions>(), io);
  };
  const program = createProgram(io);
  for (const register of COMMANDS) register(program, execute);
  try {
    await program.parseAsync(argv, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done;
    // With a usage error the flags may not have been parsed.
    printError(error instanceof CommanderError ? usageError(error) : error, io, { json: argv.includes("--json") });
    return error instanceof CommanderError ? EXIT.usage : exitCodeOf(error);
  }
}

function createProgram(io: CommandIo): Command {
  return new Command("afterimage")
    .description("Warm-standby mirrors for SQLite.")
    .version(programVersion())
    .option("--config <file>", "configuration (./afterimage.yaml, then /etc/afterimage.yaml)")
    .option("--node <member>", "which member this is (AFTERIMAGE_NODE, or the only one whose state is here)")
    .option("--json", "one JSON document on standard output, logs on standard error")
    .option("--quiet", "only results and errors")
    .addHelpText("after", EXIT_CODES_HELP)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text.replace(/\n$/, "")),
      writeErr: (text) => io.err(text.replace(/\n$/, "")),
      // Printed by runProgram, in the form of all errors.
      outputError: () => undefined,
    });
}

/** The help text that commander shows for a missing command is no message of its own. */
function usageError(error: CommanderError): CliError {
  const message = error.code === "commander.help" ? "no command was given" : error.message.replace(/^error: /, "");
  return new CliError("USAGE", message, { hint: "see `afterimage --help`, or `afterimage COMMAND --help`" });
}

/** `afterimage run`: the daemon, in the foreground. It ends with 0 after SIGTERM, SIGINT or SIGHUP. */
import type { Command } from "commander";
import type { CommandIo, GlobalOptions } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { createLogger } from "./logger.ts";
import { openConfiguration } from "./open-configuration.ts";
import { openMember } from "./open-member.ts";
import type { Register } from "./register.ts";

const STOP_SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

export async function run(args: GlobalOptions, io: CommandIo): Promise<number> {
  const selection = openConfiguration(args, io);
  const logger = createLogger(io, args.quiet === true ? "warn" : "info");
  const stop = new AbortController();
  // They stay registered: a second signal must not end the daemon while it finishes what it has begun.
  for (const signal of STOP_SIGNALS) process.on(signal, () => stop.abort());
  const opened = await openMember(selection, logger);
  try {
    await opened.run(stop.signal);
  } finally {
    await opened.close();
  }
  return EXIT.done;
}

export const registerRun: Register = (program, execute) => {
  program
    .command("run")
    .description("serve this member in the foreground: capture, ship, receive, integrate")
    .action((_options: object, command: Command) => execute(command, run));
};

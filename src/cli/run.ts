/** `afterimage run`: the daemon, in the foreground. It ends with 0 after SIGTERM or SIGINT, and reads its configuration again on SIGHUP. */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { type Command, Option } from "commander";
import { AfterimageError } from "../errors.ts";
import { connectControl } from "../member/control-client.ts";
import type { Member } from "../member/member.ts";
import type { CommandIo, GlobalOptions } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { createLogger } from "./logger.ts";
import { openConfiguration } from "./open-configuration.ts";
import { openMember } from "./open-member.ts";
import { openOverseer } from "./open-overseer.ts";
import type { Register } from "./register.ts";
import { stopRequest } from "./stop-request.ts";

const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;
/** A command that does its work without a daemon, such as `status`, has the state directory for a moment. */
const COMMAND_ENDS_MS = 10_000;
const RETRY_MS = 50;

interface RunOptions {
  readonly tellParent?: boolean;
}

export async function run(args: RunOptions & GlobalOptions, io: CommandIo): Promise<number> {
  keepHeapSmall();
  const selection = openConfiguration(args, io);
  const logger = createLogger(io, args.quiet === true ? "warn" : "info");
  const stop = stopRequest(STOP_SIGNALS);
  let reload = async () => {};
  process.on("SIGHUP", () => reload());
  const daemon = {
    readConfiguration: () => openConfiguration(args, io).configuration,
    overseer: await openOverseer(args.tellParent === true, logger),
  };
  const opened = await openWhenFree(join(selection.member.state, "control.sock"), stop, () =>
    openMember(selection, logger, daemon),
  );
  // What goes wrong is an event, and in the log.
  reload = () =>
    opened.reload().then(
      () => undefined,
      () => undefined,
    );
  try {
    await opened.run(stop);
  } finally {
    await opened.close();
  }
  return EXIT.done;
}

/** Waits for a command to end that has the state directory. @throws StateError LOCK_HELD when a daemon has it. */
async function openWhenFree(socketPath: string, stop: AbortSignal, open: () => Promise<Member>): Promise<Member> {
  const deadlineMs = performance.now() + COMMAND_ENDS_MS;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      const isHeld = error instanceof AfterimageError && error.code === "LOCK_HELD";
      if (!isHeld || stop.aborted || performance.now() > deadlineMs) throw error;
      if ((await connectControl(socketPath)) !== null) throw error;
    }
    await delay(RETRY_MS);
  }
}

/**
 * A burst of work, such as a start, makes V8 enlarge the space for new objects to 60 MiB, and it hardly ever makes it smaller
 * again. The 10 to 15 MiB that it has by now are enough: objects live either for one turn of a job or as long as the daemon.
 */
function keepHeapSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}

export const registerRun: Register = (program, execute) => {
  program
    .command("run")
    .description("serve this member in the foreground: capture, ship, receive, integrate")
    .addOption(new Option("--tell-parent", "say over the IPC channel when it serves, and what happens").hideHelp())
    .action((options: RunOptions, command: Command) =>
      execute(command, (globals, io) => run({ ...globals, ...options }, io)),
    );
};

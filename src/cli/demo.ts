/** `afterimage demo`: shows a live database being mirrored, and checks every claim that it makes. */
import type { Command } from "commander";
import { runDemo } from "../demo/demo.ts";
import { formatResult } from "../demo/demo-report.ts";
import type { CommandIo, GlobalOptions } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { parseCount } from "./parse-count.ts";
import type { Register } from "./register.ts";
import { stopRequest } from "./stop-request.ts";

interface DemoFlags {
  readonly seconds: number;
  /** Orders a second. */
  readonly rate: number;
  readonly keep?: boolean;
  /** Commander's name for `--no-failover`. */
  readonly failover: boolean;
}

const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** What a shell shows for a program that Ctrl-C has ended. */
const INTERRUPTED = 130;

async function demo(args: GlobalOptions & DemoFlags, io: CommandIo): Promise<number> {
  const signal = stopRequest(STOP_SIGNALS);
  const say = (line: string) => (args.json === true ? io.err(line) : io.out(line));
  try {
    const options = { ...args, ordersPerSecond: args.rate, keep: args.keep === true };
    const { result, segments, problems } = await runDemo(options, { say, signal });
    say(`\n${formatResult(result, segments)}\n`);
    for (const problem of problems) io.err(`wrong: ${problem}`);
    say(
      result.ok ? "All mirrors are identical, page by page, and no reader saw anything wrong." : "Something is wrong.",
    );
    if (args.json === true) io.out(JSON.stringify(result));
    return result.ok ? EXIT.done : EXIT.failed;
  } catch (error) {
    if (!signal.aborted) throw error;
    io.err("Interrupted: what was started has been stopped and removed.");
    return INTERRUPTED;
  }
}

export const registerDemo: Register = (program, execute) => {
  program
    .command("demo")
    .description("show a live database being mirrored to two mirrors and a mirror-mirror, in a temporary directory")
    .option("--seconds <n>", "how long", parseCount, 20)
    .option("--rate <n>", "orders a second", parseCount, 200)
    .option("--no-failover", "do not lose the operational machine at the end")
    .option("--keep", "leave databases, journals and logs behind")
    .action((flags: DemoFlags, command: Command) =>
      execute(command, (globals, io) => demo({ ...globals, ...flags }, io)),
    );
};

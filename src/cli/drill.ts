/** `afterimage drill`: promotes copies of this mirror's databases beside it, checks them, and throws them away. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { drillConfiguration } from "../config/configuration.ts";
import type { DrilledDatabase, DrillPlan, DrillResult } from "../runbook/drill.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { dryRunLines } from "./dry-run-lines.ts";
import { EXIT } from "./exit-codes.ts";
import { Interruption } from "./interruption.ts";
import { lossLines } from "./loss-lines.ts";
import { openConfiguration } from "./open-configuration.ts";
import type { Register } from "./register.ts";
import { stepPrinter } from "./step-printer.ts";
import { withControl } from "./with-control.ts";

interface DrillFlags {
  readonly script?: string;
  readonly directory?: string;
  readonly keep?: boolean;
  readonly dryRun?: boolean;
}

async function drill(args: GlobalOptions & DrillFlags, databases: string[], io: CommandIo): Promise<number> {
  using interruption = new Interruption();
  return await interruption.exitCode(io, () => rehearse(args, databases, { io, signal: interruption.signal }));
}

async function rehearse(
  args: GlobalOptions & DrillFlags,
  databases: string[],
  { io, signal }: { io: CommandIo; signal: AbortSignal },
): Promise<number> {
  const { configuration, member: self } = openConfiguration(args, io);
  const configured = drillConfiguration(self);
  const path = (flag: string | undefined) => (flag === undefined ? null : resolve(io.workingDirectory, flag));
  // Loaded only now, like the member itself: see open-member.ts.
  const library = await import("../runbook/drill.ts");
  const script = path(args.script) ?? configured.script;
  const directory = path(args.directory) ?? configured.directory;
  if (args.dryRun === true) {
    const plan = library.planDrill({ configuration, self, databases, script, directory });
    print(args, io, { plan }, () => planLines(plan));
    return EXIT.done;
  }
  const result = await withControl(args, io, (control) =>
    library.drill({
      ...{ configuration, self, control, databases, signal, keep: args.keep === true, script, directory },
      scriptLimitMs: configured.timeLimitMs,
      onStep: stepPrinter(args, io),
    }),
  );
  print(args, io, result, () => resultLines(result));
  return result.ok ? EXIT.done : EXIT.failed;
}

function planLines({ databases, directory, script }: DrillPlan): string[] {
  return dryRunLines([
    `copy ${databases.join(", ")} into ${directory}, one after the other, while integration of each waits`,
    "bring the copies forward to all that was received, check them, make them writable, and write to them",
    ...(script === null ? [] : [`run ${script} on them`]),
    "throw the copies away",
  ]);
}

function resultLines({ member, ok, seconds, databases, script, losses, kept }: DrillResult): string[] {
  const head = ok
    ? `drill passed: ${member} could be promoted; its copies were, in ${seconds.toFixed(1)} s`
    : `drill FAILED: ${member} could not be promoted as it is`;
  return [
    head,
    ...databases.flatMap(databaseLines),
    ...(script === null ? [] : [`script: ${script.error?.message ?? "no fault"}, ${inSeconds(script.ms)}`]),
    ...(script?.error?.hint == null ? [] : [`  next: ${script.error.hint}`]),
    "A promotion now would lose, as far as is known:",
    ...losses.flatMap(lossLines).map((line) => `  ${line}`),
    ...(kept === null ? [] : [`The copies are kept in ${kept}`]),
  ];
}

function databaseLines({ database, copy, error }: DrilledDatabase): string[] {
  if (copy === null) {
    const hint = error?.hint == null ? [] : [`  next: ${error.hint}`];
    return [`${database}: FAILED ${error?.code}: ${error?.message}`, ...hint];
  }
  const { state, bytes, segments, heldMs, check, unchecked, foreignKeyProblems, times } = copy;
  const { copyMs, integrateMs, checkMs, unfenceMs, writeMs } = times;
  const keys =
    foreignKeyProblems === 0 ? "" : `; ${foreignKeyProblems} rows break a foreign key, here and on the mirror`;
  return [
    `${database}: at ${state}, ${bytes} bytes, ${check ?? `not checked by SQLite: ${unchecked}`}${keys}`,
    `  copied in ${inSeconds(copyMs)} (integration was held off for ${heldMs} ms), ${segments} segments integrated in ${inSeconds(integrateMs)},`,
    `  checked in ${inSeconds(checkMs)}, made writable in ${inSeconds(unfenceMs)}, written to in ${inSeconds(writeMs)}`,
  ];
}

function inSeconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

export const registerDrill: Register = (program, execute) => {
  program
    .command("drill")
    .description("promote copies of this mirror's databases, check them, and throw them away (mirrors)")
    .argument("[database...]", "all when none is named")
    .option("--script <file>", "a program that looks into the copies; their paths are on its standard input, as JSON")
    .option("--directory <path>", "where the copies are made; the state directory when not given")
    .option("--keep", "leave the copies there")
    .option("--dry-run", "only check whether it can be done, and say what would be")
    .action((databases: string[], _options: object, self: Command) =>
      execute(self, (globals: GlobalOptions & DrillFlags, io) => drill(globals, databases, io)),
    );
};

/** `afterimage rebuild`: makes a mirror's copies equal to its upstream's, whatever they hold, by the cheapest way. */
import { type Command, InvalidArgumentError } from "commander";
import { knownRoles } from "../member/known-roles.ts";
import type { MemberControl, RebuildMethod, RebuildPlan } from "../member/member-control.ts";
import { CliError } from "./cli-error.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import type { Register } from "./register.ts";
import { roleLines } from "./role-lines.ts";
import { type ResyncedCopy, resyncedLine, waitForResync } from "./wait-for-resync.ts";
import { withControl } from "./with-control.ts";

interface RebuildArguments extends GlobalOptions {
  readonly databases: readonly string[];
  readonly method?: RebuildMethod | null;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

const METHODS: Readonly<Record<string, RebuildMethod | null>> = { auto: null, resync: "resync", snapshot: "snapshot" };

const WHAT: Readonly<Record<RebuildMethod, string>> = {
  replay: "nothing to rebuild: it goes on with the segments that are missing",
  resync: "fetch the pages that differ",
  snapshot: "fetch all pages",
};

export async function rebuild(args: RebuildArguments, io: CommandIo): Promise<number> {
  return await withControl(args, io, async (control) => {
    const { databases } = args;
    const options = { databases, ...(args.method == null ? {} : { method: args.method }) };
    const plans = await control.rebuild({ ...options, dryRun: true });
    const toDo = plans.filter(({ method }) => method !== "replay");
    if (args.dryRun === true) {
      print(args, io, { dryRun: true, plans }, () => ["dry run: nothing was changed", ...plans.flatMap(planLines)]);
      return EXIT.done;
    }
    if (toDo.length > 0 && args.yes !== true) {
      if (args.json !== true) for (const line of plans.flatMap(planLines)) io.err(line);
      throw new CliError("NOT_CONFIRMED", "nothing was changed: rebuilding replaces what the copies hold", {
        hint: "Run the command again with --yes.",
      });
    }
    if (args.quiet !== true) for (const line of plans.flatMap(planLines)) io.err(line);
    const rebuilt = await carryOut(args, io, control, toDo);
    const isDone = rebuilt.every(({ state }) => state !== "failed");
    const roles = knownRoles(await control.status());
    print(args, io, { plans, rebuilt, roles }, () => [...rebuilt.map(resyncedLine), ...roleLines(roles)]);
    return isDone ? EXIT.done : EXIT.failed;
  });
}

async function carryOut(
  args: GlobalOptions,
  io: CommandIo,
  control: MemberControl,
  toDo: readonly RebuildPlan[],
): Promise<ResyncedCopy[]> {
  for (const { database, method } of toDo) await control.rebuild({ databases: [database], method });
  return await waitForResync(args, io, { control, databases: toDo.map(({ database }) => database) });
}

function planLines({ database, method, bytes, pages, error }: RebuildPlan): string[] {
  const costs = Object.entries(bytes).map(([name, each]) => `${name} ${each === null ? "not possible" : inMiB(each)}`);
  const wrong = error === null ? "" : ` (${error})`;
  return [
    `${database}${wrong}: ${WHAT[method]}`,
    `  ${pages} pages; to come over the wire, about: ${costs.join(", ")}`,
  ];
}

function inMiB(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function parseMethod(text: string): RebuildMethod | null {
  const method = METHODS[text];
  if (method === undefined) throw new InvalidArgumentError(`one of ${Object.keys(METHODS).join(", ")}`);
  return method;
}

export const registerRebuild: Register = (program, execute) => {
  program
    .command("rebuild")
    .description("make copies of a mirror equal to its upstream's, whatever they hold")
    .argument("<database...>", "names")
    .option(
      "--method <method>",
      "auto (the cheapest), resync (the pages that differ) or snapshot (all pages)",
      parseMethod,
    )
    .option("--dry-run", "only say what would be done")
    .option("--yes", "do it; without it, only say what would be done")
    .action((databases: string[], options: Omit<RebuildArguments, "databases">, command: Command) =>
      execute(command, (globals, io) => rebuild({ ...globals, ...options, databases }, io)),
    );
};

/** `afterimage status`: the mirror set as this member sees it. */
import { type Command, Option } from "commander";
import { stringify } from "yaml";
import type { MirrorSetStatus } from "../status/member-status.ts";
import { missingDatabases } from "../status/mirror-set-view.ts";
import type { CommandIo, GlobalOptions } from "./command-io.ts";
import type { Register } from "./register.ts";
import { statusExitCode } from "./status-exit-code.ts";
import { type StatusView, statusLines } from "./status-table.ts";
import { statusTsv } from "./status-tsv.ts";
import { parseSeconds, watch, watchSeconds } from "./watch.ts";
import { withControl } from "./with-control.ts";

/** Those of `patronictl list`. */
const FORMATS = ["pretty", "json", "yaml", "tsv"] as const;
type Format = (typeof FORMATS)[number];

interface StatusOptions {
  readonly format?: Format;
  readonly databases?: boolean;
  /** Seconds; true for as many as it is usual. */
  readonly watch?: number | true;
}

async function status(args: StatusOptions & GlobalOptions, io: CommandIo): Promise<number> {
  const format = args.format ?? (args.json === true ? "json" : "pretty");
  const view = { databases: args.databases ?? false };
  const round = async () => {
    const answer = await withControl(args, io, (control) => control.status());
    for (const line of formatted(answer, format, view)) io.out(line);
    return statusExitCode(answer);
  };
  if (args.watch === undefined) return await round();
  return await watch(watchSeconds(args.watch), { args: { ...args, json: format === "json" }, io }, round);
}

function formatted(answer: MirrorSetStatus, format: Format, view: StatusView): string[] {
  switch (format) {
    case "pretty":
      return statusLines(answer, view);
    case "json":
      return [JSON.stringify(document(answer))];
    case "yaml":
      return [stringify(document(answer)).trimEnd()];
    case "tsv":
      return statusTsv(answer);
    default:
      return format satisfies never;
  }
}

function document(answer: MirrorSetStatus): object {
  return { ...answer, missingDatabases: missingDatabases(answer.members) };
}

export const registerStatus: Register = (program, execute) => {
  program
    .command("status")
    .description("show all members: roles, states, positions, and lags on the way and of the integration")
    .addOption(new Option("-f, --format <format>", "how it is shown (pretty, or json with --json)").choices(FORMATS))
    .option("--databases", "a line for each database of each member")
    .option("-w, --watch [seconds]", "again and again, every 2 s or so many", parseSeconds)
    .action((options: StatusOptions, command: Command) =>
      execute(command, (globals, io) => status({ ...globals, ...options }, io)),
    );
};

/** `afterimage status`: the mirror set as this member sees it. */
import { type Command, Option } from "commander";
import { stringify } from "yaml";
import type { MemberControl } from "../member/member-control.ts";
import type { MirrorSetStatus } from "../status/member-status.ts";
import { missingDatabases } from "../status/mirror-set-view.ts";
import type { CommandIo, GlobalOptions } from "./command-io.ts";
import type { Register } from "./register.ts";
import { RATE_SEGMENTS, RATE_WINDOW_S, rateLine, type SegmentRates, segmentRates } from "./segment-rates.ts";
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
  readonly rates?: boolean;
  /** Seconds; true for as many as it is usual. */
  readonly watch?: number | true;
}

async function status(args: StatusOptions & GlobalOptions, io: CommandIo): Promise<number> {
  const format = args.format ?? (args.json === true ? "json" : "pretty");
  const view = { databases: args.databases ?? false };
  const round = async () => {
    const { answer, rates } = await withControl(args, io, async (control) => {
      const found = await control.status();
      return { answer: found, rates: args.rates === true ? await askRates(control, found) : null };
    });
    for (const line of formatted(answer, { format, view, rates })) io.out(line);
    return statusExitCode(answer);
  };
  if (args.watch === undefined) return await round();
  return await watch(watchSeconds(args.watch), { args: { ...args, json: format === "json" }, io }, round);
}

/** Of the member that answers, which alone has its journal. */
async function askRates(
  control: MemberControl,
  { answeredBy, members }: MirrorSetStatus,
): Promise<SegmentRates | null> {
  const own = members.find(({ member }) => member === answeredBy);
  const since = new Date(Date.now() - RATE_WINDOW_S * 1000).toISOString();
  const segments = await control.segments({ kind: "segment", since, limit: RATE_SEGMENTS });
  return own === undefined ? null : segmentRates(segments, own);
}

interface Shown {
  readonly format: Format;
  readonly view: StatusView;
  readonly rates: SegmentRates | null;
}

function formatted(answer: MirrorSetStatus, { format, view, rates }: Shown): string[] {
  switch (format) {
    case "pretty":
      return [...statusLines(answer, view), ...(rates === null ? [] : [rateLine(answer.answeredBy, rates)])];
    case "json":
      return [JSON.stringify(document(answer, rates))];
    case "yaml":
      return [stringify(document(answer, rates)).trimEnd()];
    case "tsv":
      return statusTsv(answer);
    default:
      return format satisfies never;
  }
}

function document(answer: MirrorSetStatus, rates: SegmentRates | null): object {
  return { ...answer, missingDatabases: missingDatabases(answer.members), ...(rates === null ? {} : { rates }) };
}

export const registerStatus: Register = (program, execute) => {
  program
    .command("status")
    .description("show all members: roles, states, positions, and lags on the way and of the integration")
    .addOption(new Option("-f, --format <format>", "how it is shown (pretty, or json with --json)").choices(FORMATS))
    .option("--databases", "a line for each database of each member")
    .option("--rates", "how fast this member's journal grows, and how well it is compressed")
    .option("-w, --watch [seconds]", "again and again, every 2 s or so many", parseSeconds)
    .action((options: StatusOptions, command: Command) =>
      execute(command, (globals, io) => status({ ...globals, ...options }, io)),
    );
};

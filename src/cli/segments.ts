/** `afterimage segments`: what this member's journal holds. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseTxid } from "../ltx/position.ts";
import type { SegmentFilter, SegmentView } from "../member/member-control.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { parseCount } from "./parse-count.ts";
import { parseTime } from "./parse-time.ts";
import type { Register } from "./register.ts";
import { formatTable } from "./table.ts";
import { withControl } from "./with-control.ts";

async function segments(args: GlobalOptions, filter: SegmentFilter, io: CommandIo): Promise<number> {
  const found = await withControl(args, io, (control) => control.segments(filter));
  print(args, io, { segments: found }, () => segmentLines(found));
  return EXIT.done;
}

function segmentLines(found: readonly SegmentView[]): string[] {
  return formatTable(
    [
      { title: "Database" },
      { title: "Epoch", align: "right" },
      { title: "Kind" },
      { title: "First" },
      { title: "Last" },
      { title: "Pages", align: "right" },
      { title: "Bytes", align: "right" },
      { title: "Cut" },
    ],
    found.map((segment) => [
      segment.database,
      String(segment.epoch),
      segment.kind,
      segment.minTxid,
      segment.maxTxid,
      String(segment.pages),
      String(segment.bytes),
      segment.time,
    ]),
  );
}

function parseTxidText(text: string): string {
  if (parseTxid(text) === null) throw new InvalidArgumentError("It must be 16 hexadecimal digits.");
  return text;
}

/** ISO 8601 in UTC, as the daemon takes it. */
function parseTimeText(text: string): string {
  return new Date(parseTime(text)).toISOString();
}

export const registerSegments: Register = (program, execute) => {
  program
    .command("segments")
    .description("list the segments in this member's journal, oldest first")
    .option("--database <name>", "only this database's")
    .addOption(new Option("--kind <kind>", "only these").choices(["segment", "snapshot"]))
    .option("--epoch <number>", "only of this epoch", parseCount)
    .option("--txid <txid>", "only what holds this transaction, 16 hexadecimal digits", parseTxidText)
    .option("--since <time>", "only what was cut from this time on, such as 2026-01-31T12:00:00Z", parseTimeText)
    .option("--until <time>", "only what was cut until this time", parseTimeText)
    .option("--limit <count>", "at most this many of each database, the newest (50)", parseCount)
    .action((options: SegmentFilter, command: Command) =>
      execute(command, (globals, io) => segments(globals, options, io)),
    );
};

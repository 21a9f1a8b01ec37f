/** `afterimage segments`: what this member's journal holds. */
import type { Command } from "commander";
import type { SegmentView } from "../member/member-control.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { parseCount } from "./parse-count.ts";
import type { Register } from "./register.ts";
import { formatTable } from "./table.ts";
import { withControl } from "./with-control.ts";

interface SegmentsOptions {
  readonly database?: string;
  /** At most this many of each database, the newest. */
  readonly limit?: number;
}

export async function segments(args: SegmentsOptions & GlobalOptions, io: CommandIo): Promise<number> {
  const { database, limit } = args;
  const filter = { ...(database === undefined ? {} : { database }), ...(limit === undefined ? {} : { limit }) };
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

export const registerSegments: Register = (program, execute) => {
  program
    .command("segments")
    .description("list the segments in this member's journal, oldest first")
    .option("--database <name>", "only this database's")
    .option("--limit <count>", "at most this many of each database, the newest (50)", parseCount)
    .action((options: SegmentsOptions, command: Command) =>
      execute(command, (globals, io) => segments({ ...globals, ...options }, io)),
    );
};

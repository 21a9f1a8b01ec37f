/** `afterimage history`: the epochs that this member knows of. */
import type { Command } from "commander";
import { type EpochDocument, encodeEpoch } from "../roles/role-documents.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { openConfiguration } from "./open-configuration.ts";
import { openState } from "./open-state.ts";
import type { Register } from "./register.ts";
import { type Column, formatTable } from "./table.ts";

const COLUMNS: readonly Column[] = [
  { title: "Epoch", align: "right" },
  { title: "Member" },
  { title: "Reason" },
  { title: "Started" },
  { title: "Database" },
  { title: "Begins at" },
];

async function history(args: GlobalOptions, io: CommandIo): Promise<number> {
  const selection = openConfiguration(args, io);
  using store = await openState(selection);
  const epochs = store.history().epochs.map(encodeEpoch);
  print(args, io, { member: selection.member.name, epochs }, () => formatTable(COLUMNS, epochs.flatMap(epochRows)));
  return EXIT.done;
}

/** A row for each database; one for an epoch in which all of them begin anew. */
function epochRows({ epoch, member, reason, startedAt, starts }: EpochDocument): string[][] {
  const head = [String(epoch), member, reason, startedAt];
  const [first = ["", ""], ...rest] = Object.entries(starts).sort(([a], [b]) => (a < b ? -1 : 1));
  return [[...head, ...first], ...rest.map((start) => ["", "", "", "", ...start])];
}

export const registerHistory: Register = (program, execute) => {
  program
    .command("history")
    .description("list the epochs that this member knows of: who was operational, since when and where")
    .action((_options: object, command: Command) => execute(command, history));
};

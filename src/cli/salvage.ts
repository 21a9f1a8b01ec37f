/** `afterimage salvage`: brings to this mirror what a lost operational machine still holds and never shipped. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { knownRoles } from "../member/known-roles.ts";
import type { SalvagedDatabase, SalvageResult } from "../salvage/salvage-result.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT, type ExitCode, exitCodeOfCode } from "./exit-codes.ts";
import { openConfiguration } from "./open-configuration.ts";
import { parseNames } from "./parse-names.ts";
import type { Register } from "./register.ts";
import { roleLines } from "./role-lines.ts";
import { withControl } from "./with-control.ts";

interface SalvageFlags {
  readonly from: string;
  readonly databases?: readonly string[];
  readonly dryRun?: boolean;
  readonly acceptDifference?: boolean;
  /** Commander's name for `--no-proof`. */
  readonly proof?: boolean;
}

export async function salvage(args: GlobalOptions & SalvageFlags, io: CommandIo): Promise<number> {
  const { configuration, member: self } = openConfiguration(args, io);
  const { dryRun = false, acceptDifference = false, proof = true, databases } = args;
  const from = args.from.includes("://") ? args.from : resolve(io.workingDirectory, args.from);
  // Loaded only now, like the member itself: see open-member.ts.
  const library = await import("../salvage/salvage.ts");
  const { result, roles } = await withControl(args, io, async (control) => {
    const result = await library.salvage({
      ...{ configuration, self, control, from, dryRun, acceptDifference, withoutProof: !proof },
      ...(databases === undefined ? {} : { databases }),
      onStep: (step) => args.quiet !== true && io.err(step),
    });
    return { result, roles: knownRoles(await control.status()) };
  });
  print(args, io, { ...result, roles }, () => [...resultLines(result), ...roleLines(roles)]);
  return exitCode(result);
}

function exitCode({ databases }: SalvageResult): ExitCode {
  const refused = databases.find(({ error }) => error !== null);
  return refused?.error == null ? EXIT.done : exitCodeOfCode(refused.error.code);
}

function resultLines({ member, dryRun, databases }: SalvageResult): string[] {
  const refused = databases.filter(({ outcome }) => outcome === "refused").length;
  const end = refused === 0 ? "" : `; ${refused} of ${databases.length} databases refused`;
  const head = dryRun ? `dry run of the salvage of ${member}: nothing was changed` : `salvage of ${member}`;
  return [`${head}${end}`, ...databases.flatMap((result) => databaseLines(result, dryRun))];
}

function databaseLines(result: SalvagedDatabase, dryRun: boolean): string[] {
  const { database, error, notes, discardedFrames } = result;
  if (error !== null) {
    return [
      `${database}: REFUSED ${error.code}: ${error.message}`,
      ...(error.hint === null ? [] : [`  next: ${error.hint}`]),
    ];
  }
  const tail =
    discardedFrames === 0 ? [] : [`  ${discardedFrames} frames after the last commit in the WAL are of no commit`];
  return [`${database}: ${summary(result, dryRun)}`, ...tail, ...notes.map((note) => `  ${note}`)];
}

function summary(result: SalvagedDatabase, dryRun: boolean): string {
  const proof = result.proved
    ? "every page is as SQLite shows it of the lost database"
    : "not compared with the database";
  if (result.outcome === "complete") return `nothing to salvage; at ${result.to ?? "nothing"}; ${proof}`;
  const { transactions, firstTxid, lastTxid, unshippedSegments, cutSegments, method, lastCommit } = result;
  const source = method === "difference" ? "from differing pages" : "from the WAL";
  const parts = [
    `${transactions} transactions ${dryRun ? "can be salvaged" : "salvaged"}, ${firstTxid} to ${lastTxid}`,
    `${unshippedSegments} segments from its journal, ${cutSegments} ${source}`,
    ...(lastCommit === null ? [] : [`last written ${lastCommit}`]),
    proof,
  ];
  return parts.join("; ");
}

export const registerSalvage: Register = (program, execute) => {
  program
    .command("salvage")
    .description("take what a lost operational machine did not ship, from its disk (mirrors)")
    .requiredOption("--from <place>", "its state directory, where its disk is mounted, or sftp://user@host/directory")
    .option("--databases <names>", "comma-separated; all when not given", parseNames)
    .option("--dry-run", "make and prove everything, and change nothing")
    .option("--accept-difference", "take the pages that differ of a database whose WAL does not continue the journal")
    .option("--no-proof", "do not compare every page with the database, and do not copy it")
    .action((options: SalvageFlags, command: Command) =>
      execute(command, (globals, io) => salvage({ ...globals, ...options }, io)),
    );
};

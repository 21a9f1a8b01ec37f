/** `afterimage restore`: puts a database together as it was at a transaction or a time, in a new file. */
import { resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import type { Restored } from "../backup/restore.ts";
import type { RestorePlan } from "../backup/restore-plan.ts";
import type { OpenSources } from "../backup/restore-sources.ts";
import type { RestorePoint, RestoreTarget } from "../backup/restore-target.ts";
import type { MemberConfiguration } from "../config/configuration.ts";
import { formatTxid, parseTxid } from "../ltx/position.ts";
import { CliError } from "./cli-error.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { Interruption } from "./interruption.ts";
import { openConfiguration } from "./open-configuration.ts";
import { parseTime } from "./parse-time.ts";
import type { Register } from "./register.ts";
import { WorkReporter } from "./work-reporter.ts";

interface RestoreFlags {
  readonly to: string;
  readonly txid?: RestoreTarget;
  readonly time?: RestoreTarget;
  /** `journal`, or the path of a backup or of a directory below `diverged`. */
  readonly from?: string;
  readonly dryRun?: boolean;
  readonly quick?: boolean;
}

type RestoreArguments = GlobalOptions & RestoreFlags & { readonly database: string };

/** More files are only counted. */
const FILES_SHOWN = 10;
const TXID = /^(?:([1-9]\d{0,9}):)?([0-9a-f]{16})$/;

async function restoreDatabase(args: RestoreArguments, io: CommandIo): Promise<number> {
  const { configuration, member: self } = openConfiguration(args, io);
  const { OpenSources } = await import("../backup/restore-sources.ts");
  const { planRestore } = await import("../backup/restore-plan.ts");
  const { assertNothingAt } = await import("../backup/restore.ts");
  const { database } = args;
  const from = args.from === undefined || args.from === "journal" ? (args.from ?? null) : pathOf(args.from, io);
  using opened = new OpenSources({ configuration, self, database, from });
  const plan = planRestore(opened.sources, targetOf(args));
  const to = pathOf(args.to, io);
  assertNothingAt(to);
  const document = planDocument(plan, opened, to);
  if (args.dryRun === true) {
    print(args, io, { ...document, restored: false }, () => planLines(plan, opened, to));
    return EXIT.done;
  }
  using interruption = new Interruption();
  return await interruption.exitCode(io, async () => {
    const restored = await carryOut(args, io, { plan, opened, to, interruption, member: self });
    const { bytes, sha256, check } = restored;
    print(args, io, { ...document, restored: true, databaseBytes: bytes, sha256, check: check.passed }, () => [
      ...planLines(plan, opened, to),
      ...restoredLines(restored, to),
    ]);
    return EXIT.done;
  });
}

async function carryOut(
  args: RestoreArguments,
  io: CommandIo,
  {
    plan,
    opened,
    to,
    interruption,
    member,
  }: {
    plan: RestorePlan;
    opened: OpenSources;
    to: string;
    interruption: Interruption;
    member: MemberConfiguration;
  },
): Promise<Restored> {
  const { restore } = await import("../backup/restore.ts");
  const reporter = new WorkReporter(args, io, { kind: "restore", member });
  const options = {
    journal: opened.journal,
    to,
    check: args.quick === true ? ("quick_check" as const) : ("integrity_check" as const),
    signal: interruption.signal,
    onProgress: ({ step, bytes, totalBytes }: { step: string; bytes: number; totalBytes: number }) => {
      // SQLite's check does not return to us before it is done: then a signal ends the process, and leaves a part file.
      interruption.enabled = step !== "checking";
      reporter.show({ what: plan.database, step, bytes, totalBytes });
    },
  };
  return await reporter.during(() => restore(plan, options));
}

function targetOf({ txid, time }: RestoreFlags): RestoreTarget {
  if (txid === undefined || time === undefined) return txid ?? time ?? { kind: "newest" };
  throw new CliError("USAGE", "--txid and --time say two different things", { hint: "give one of them" });
}

function pathOf(path: string, io: CommandIo): string {
  return resolve(io.workingDirectory, path);
}

function planDocument(plan: RestorePlan, { journal }: OpenSources, to: string): object {
  const { database, point, next, base, segments, bytes } = plan;
  const basePath = base.kind === "backup" ? base.path : journal?.path(base.row);
  return {
    database,
    to,
    reached: pointView(point),
    next: pointView(next),
    base: { kind: base.kind, path: basePath, bytes: base.bytes },
    segments: segments.map((row) => ({ path: journal?.path(row), bytes: row.bytes })),
    bytes,
  };
}

function pointView(point: RestorePoint | null): object | null {
  if (point === null) return null;
  const { epoch, txid, timeMs } = point;
  return { epoch, txid: formatTxid(txid), time: timeMs === null ? null : new Date(timeMs).toISOString() };
}

function planLines(plan: RestorePlan, { journal }: OpenSources, to: string): string[] {
  const { database, point, next, base, segments, bytes } = plan;
  const shown = segments.slice(0, FILES_SHOWN).map((row) => `  ${journal?.path(row)}`);
  const more = segments.length - shown.length;
  return [
    `${database} as of ${point === null ? "the backup, which shows no position" : pointText(point)}, to ${to}`,
    ...(next === null ? [] : [`the next state in the journal is ${pointText(next)}`]),
    `${base.kind} of ${base.bytes} bytes, and ${segments.length} segments: ${bytes} bytes in all`,
    `  ${base.kind === "backup" ? base.path : journal?.path(base.row)}`,
    ...shown,
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

function pointText({ epoch, txid, timeMs }: RestorePoint): string {
  const cut = timeMs === null ? "" : `, cut at ${new Date(timeMs).toISOString()}`;
  return `${epoch}:${formatTxid(txid)}${cut}`;
}

function restoredLines({ bytes, check }: Restored, to: string): string[] {
  const checked = check.passed ?? `not checked by SQLite: ${check.reason}`;
  return [`restored ${to}: ${bytes} bytes, checksum of all pages, ${checked}`];
}

function parseTxidTarget(text: string): RestoreTarget {
  const [, epoch, digits = ""] = TXID.exec(text) ?? [];
  const txid = parseTxid(digits);
  if (txid === null)
    throw new InvalidArgumentError("It must be 16 hexadecimal digits, as `afterimage segments` shows.");
  return { kind: "txid", txid, epoch: epoch === undefined ? null : Number(epoch) };
}

function parseTimeTarget(text: string): RestoreTarget {
  return { kind: "time", timeMs: parseTime(text) };
}

export const registerRestore: Register = (program, execute) => {
  program
    .command("restore")
    .description(
      "put a database together as it was at a transaction or a time, in a new file that belongs to no mirror",
    )
    .argument("<database>", "its name")
    .requiredOption("--to <file>", "the new file")
    .option("--txid <txid>", "the last state up to this transaction; EPOCH:TXID for one epoch", parseTxidTarget)
    .option("--time <time>", "the last state that was cut up to this time (the newest without both)", parseTimeTarget)
    .option(
      "--from <base>",
      "begin with this backup, or with `journal`: a snapshot (the cheapest without); or what is kept in this directory below `diverged`",
    )
    .option("--dry-run", "only say what would be read")
    .option("--quick", "let SQLite run quick_check instead of integrity_check")
    .action((database: string, flags: RestoreFlags, command: Command) =>
      execute(command, (globals, io) => restoreDatabase({ ...globals, ...flags, database }, io)),
    );
};

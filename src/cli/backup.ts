/** `afterimage backup`: makes backups of this member's databases, lists them, and verifies them. */
import { join, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import type { ListedBackup } from "../backup/backup-directory.ts";
import type { MadeBackup } from "../backup/make-backup.ts";
import type { BackupOptions, BackupReport } from "../backup/run-backups.ts";
import type { BackupVerification } from "../backup/verify-backup.ts";
import { backupConfiguration } from "../config/configuration.ts";
import { parseDuration } from "../config/quantities.ts";
import { connectControl } from "../member/control-client.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { Interruption } from "./interruption.ts";
import { openConfiguration, type Selection } from "./open-configuration.ts";
import { errorDocument, printError } from "./print-error.ts";
import { ProgressBar } from "./progress-bar.ts";
import type { Register } from "./register.ts";
import { formatTable } from "./table.ts";
import { WorkReporter } from "./work-reporter.ts";

interface BackupFlags {
  /** Milliseconds; `true` without a limit. */
  readonly wait?: number | true;
  readonly allowOperational?: boolean;
  readonly quick?: boolean;
}

async function backup(args: GlobalOptions & BackupFlags, databases: string[], io: CommandIo): Promise<number> {
  using interruption = new Interruption();
  return await interruption.exitCode(io, () => makeBackups(args, databases, { io, interruption }));
}

async function makeBackups(
  args: GlobalOptions & BackupFlags,
  databases: string[],
  { io, interruption }: { io: CommandIo; interruption: Interruption },
): Promise<number> {
  const selection = openConfiguration(args, io);
  // What is in the WAL only gets a position by a rotation, and a backup at a position can be restored beyond.
  if (args.allowOperational === true) await rotateFirst(selection, databases);
  const { runBackups } = await import("../backup/run-backups.ts");
  const reporter = new WorkReporter(args, io, { kind: "backup", member: selection.member });
  const options: BackupOptions = {
    configuration: selection.configuration,
    self: selection.member,
    databases,
    waitMs: args.wait === true ? null : args.wait,
    allowOperational: args.allowOperational === true,
    check: args.quick === true ? "quick_check" : undefined,
    signal: interruption.signal,
    onProgress: ({ database, ...progress }) => {
      // SQLite's check does not return to us before it is done: then a signal ends the process, and leaves a part file.
      interruption.enabled = progress.step !== "checking";
      reporter.show({ what: database, ...progress });
    },
  };
  const report = await reporter.during(() => runBackups(options));
  print(args, io, reportDocument(report), () => report.backups.flatMap(madeLines));
  const [first] = report.failures;
  if (args.json !== true) for (const { error } of report.failures) printError(error, io, { json: false });
  return first === undefined ? EXIT.done : exitCodeOf(first.error);
}

async function rotateFirst({ member }: Selection, databases: readonly string[]): Promise<void> {
  const control = await connectControl(join(member.state, "control.sock"));
  // What keeps it from rotating does not keep the backup from being made: it then has no position.
  await control?.rotate(databases.length > 0 ? databases : undefined).catch(() => undefined);
}

function reportDocument({ directory, state, backups, failures }: BackupReport): object {
  return {
    ok: failures.length === 0,
    directory,
    state,
    backups: backups.map(({ path, sidecar, heldMs, removed }) => ({ path, heldMs, removed, ...sidecar })),
    failures: failures.map(({ database, error }) => ({ database, error: errorDocument(error) })),
  };
}

function madeLines({ path, sidecar, heldMs, removed }: MadeBackup): string[] {
  const { database, role, position, bytes, check } = sidecar;
  const at = position === null ? "at no position of the journal" : `at ${position.epoch}:${position.txid}`;
  const checked = check.passed ?? `not checked by SQLite: ${check.reason}`;
  return [
    `${database}: ${path}`,
    `  ${at}, ${bytes} bytes, ${checked}${role === "mirror" ? `; integration was held off for ${heldMs} ms` : ""}`,
    ...removed.map((old) => `  removed ${old}`),
  ];
}

async function list(args: GlobalOptions, io: CommandIo): Promise<number> {
  const { member } = openConfiguration(args, io);
  const { listBackups } = await import("../backup/backup-directory.ts");
  const { directory } = backupConfiguration(member);
  const backups = listBackups(directory);
  const columns = ["Database", "Member", "Taken", "State of", "Position", "Bytes", "File"].map((title) =>
    title === "Bytes" ? { title, align: "right" as const } : { title },
  );
  print(args, io, { directory, backups: backups.map(listedDocument) }, () =>
    backups.length === 0
      ? [`no backups in ${directory}`]
      : [directory, ...formatTable(columns, backups.map(listedRow))],
  );
  return EXIT.done;
}

function listedDocument({ path, database, member, takenAtMs, sidecar, fault }: ListedBackup): object {
  const takenAt = new Date(takenAtMs).toISOString();
  return { path, database, member, takenAt, ...sidecar, error: fault === null ? null : errorDocument(fault) };
}

function listedRow({ path, database, member, takenAtMs, sidecar, fault }: ListedBackup): string[] {
  const file = path.slice(path.lastIndexOf("/") + 1);
  const taken = new Date(takenAtMs).toISOString();
  if (sidecar === null) return [database, member, taken, "-", fault?.code ?? "-", "-", file];
  const { position, time, bytes } = sidecar;
  const at = position === null ? "-" : `${position.epoch}:${position.txid}`;
  return [database, member, taken, time ?? "-", at, String(bytes), file];
}

async function verify(args: GlobalOptions & BackupFlags, files: string[], io: CommandIo): Promise<number> {
  using interruption = new Interruption();
  return await interruption.exitCode(io, async () => {
    const paths =
      files.length > 0 ? files.map((file) => resolve(io.workingDirectory, file)) : await allBackups(args, io);
    const results: BackupVerification[] = [];
    for (const path of paths) results.push(await verifyOne(args, path, { io, interruption }));
    const ok = results.every((result) => result.ok);
    print(args, io, { ok, backups: results }, () =>
      results.length === 0 ? ["there are no backups"] : results.flatMap(verificationLines),
    );
    return ok ? EXIT.done : EXIT.failed;
  });
}

async function allBackups(args: GlobalOptions, io: CommandIo): Promise<string[]> {
  const { member } = openConfiguration(args, io);
  const { listBackups } = await import("../backup/backup-directory.ts");
  return listBackups(backupConfiguration(member).directory).map(({ path }) => path);
}

async function verifyOne(
  args: GlobalOptions & BackupFlags,
  path: string,
  { io, interruption }: { io: CommandIo; interruption: Interruption },
): Promise<BackupVerification> {
  const { verifyBackup } = await import("../backup/verify-backup.ts");
  const bar = new ProgressBar(args, io);
  interruption.enabled = true;
  const onProgress = (bytes: number, totalBytes: number) => {
    interruption.enabled = bytes < totalBytes;
    bar.show({ what: path, step: "verifying", bytes, totalBytes });
  };
  const kind = args.quick === true ? "quick_check" : "integrity_check";
  const options = { signal: interruption.signal, onProgress };
  return await verifyBackup(path, kind, options).finally(() => bar.end());
}

function verificationLines({ path, ok, check, problems }: BackupVerification): string[] {
  const passed = check === null ? "SHA-256 and checksums" : `SHA-256, checksums and ${check}`;
  return [ok ? `ok  ${path}: ${passed}` : `BAD ${path}`, ...problems.map((problem) => `      ${problem}`)];
}

function parseWait(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds === null) throw new InvalidArgumentError("It must be a duration such as 30s, 5m or 2h.");
  return milliseconds;
}

export const registerBackup: Register = (program, execute) => {
  const command = program
    .command("backup")
    .description("make backups of this member's databases (on a mirror)")
    .argument("[database...]", "all when none is named")
    .option(
      "--wait [duration]",
      "wait for an integration or another backup, without a limit when none is given",
      parseWait,
    )
    .option("--allow-operational", "also on the operational member, beside the application")
    .option("--quick", "let SQLite run quick_check instead of integrity_check")
    .action((databases: string[], _options: object, self: Command) =>
      execute(self, (globals: GlobalOptions & BackupFlags, io) => backup(globals, databases, io)),
    );
  command
    .command("list")
    .description("list the backups, newest first")
    .action((_options: object, self: Command) => execute(self, list));
  command
    .command("verify")
    .description("check backups: every byte, every page, and with SQLite")
    .argument("[file...]", "all when none is named")
    .action((files: string[], _options: object, self: Command) =>
      execute(self, (globals: GlobalOptions & BackupFlags, io) => verify(globals, files, io)),
    );
};

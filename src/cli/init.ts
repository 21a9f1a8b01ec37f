/**
 * `afterimage init`: writes a configuration, and prepares the machine that `--node` names; with a configuration that is there
 * already, as on the second machine, it only prepares.
 *
 * Everything that can be refused is checked before the first change; nothing that is there is replaced, and a command that was
 * interrupted can be run again.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, resolve } from "node:path";
import { type Command, Option } from "commander";
import { type Configuration, type MemberConfiguration, selectMember } from "../config/configuration.ts";
import { loadConfiguration, parseConfiguration } from "../config/load-configuration.ts";
import { parseMailbox } from "../config/mailbox-url.ts";
import { checkApplications } from "../doctor/check-applications.ts";
import { type MailboxTrial, tryMailbox } from "../doctor/try-mailbox.ts";
import { makeDirectory, writeFileDurably } from "../durable-files.ts";
import type { CheckResult } from "../member/check-result.ts";
import { CliError } from "./cli-error.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { filesDirectory, writeMachineFiles } from "./init-files.ts";
import { askServer, type PinnedKey, unpinned } from "./init-host-keys.ts";
import { initLines } from "./init-lines.ts";
import { attempt, type Preparation, prepareMachine } from "./init-machine.ts";
import { type NextStep, nextSteps } from "./init-next-steps.ts";
import { configurationText, type InitFlags, type SystemUser } from "./init-plan.ts";
import { type KeysPlace, keysPlace, keysToAuthorize } from "./init-ssh.ts";
import { CONFIGURATION_FILE, configurationPathOrNull, SYSTEM_FILE } from "./open-configuration.ts";
import { parsePort } from "./parse-port.ts";
import type { Register } from "./register.ts";

interface InitOptions extends Partial<InitFlags> {
  readonly output?: string;
  readonly convertWal?: boolean;
  readonly pinHostKeys?: boolean;
  /** `NAME=TYPE KEY` */
  readonly authorize?: readonly string[];
  readonly force?: boolean;
}

type Args = InitOptions & GlobalOptions;

/** What the command prints with `--json`. */
export interface InitReport {
  readonly file: string;
  /** Whether it was written now; else it was there. */
  readonly written: boolean;
  readonly pinned: readonly PinnedKey[];
  readonly converted: readonly string[];
  readonly directories: readonly string[];
  readonly key: Preparation["key"];
  readonly admitted: readonly string[];
  /** For root to put into place. */
  readonly files: readonly string[];
  readonly applications: readonly CheckResult[];
  readonly connections: readonly MailboxTrial[];
  readonly next: readonly NextStep[];
}

export async function init(args: Args, io: CommandIo): Promise<number> {
  const { uid, username: name, homedir: home } = userInfo();
  const report = await initReport(args, { io, user: { name, home, isRoot: uid === 0 } });
  print(args, io, report, () => initLines(report, args));
  return EXIT.done;
}

interface Surroundings {
  readonly io: CommandIo;
  readonly user: SystemUser;
}

async function initReport(args: Args, { io, user }: Surroundings): Promise<InitReport> {
  const planned = await plan(args, { io, user });
  const { configuration, node, text, pinned } = planned;
  const { path } = configuration;
  const admitted = keysToAuthorize(args.authorize ?? [], configuration, node);
  const member = node === null ? null : selectMember(configuration, node);
  const files = filesDirectory(path, node ?? "");
  const keys: KeysPlace = member === null ? { kind: "none" } : keysPlace(member, files, user);
  const agreesToConvert = (paths: readonly string[]) => mayConvert(paths, args, io);
  const prepared =
    member === null ? null : await prepareMachine({ configuration, member, keys, admitted, agreesToConvert });
  if (text !== null) attempt(path, () => write(path, text));
  const runsAs = member === null ? user.name : runner(member, keys, user);
  const machine = member === null ? null : { configuration, member, files, keys, ...program(runsAs) };
  const written = machine === null ? [] : attempt(files, () => writeMachineFiles(machine));
  const others = [...configuration.members.values()].filter((other) => member !== null && other.name !== member.name);
  const trials = others.map((other) => tryMailbox(configuration, { self: node ?? "", other }));
  const connections = await Promise.all(trials);
  const changed = written.length + (prepared?.admitted.length ?? 0) > 0;
  const isNew = planned.isNew;
  const publicKey = prepared?.key?.publicKey ?? null;
  const runAs = runsAs === user.name ? null : runsAs;
  const steps = { configuration, node, isNew, publicKey, keys, installs: changed, files, runAs, trials: connections };
  return {
    file: path,
    written: text !== null,
    pinned,
    converted: prepared?.converted ?? [],
    directories: prepared?.directories ?? [],
    key: prepared?.key ?? null,
    admitted: prepared?.admitted ?? [],
    files: written,
    applications: member === null ? [] : checkApplications({ member }),
    connections,
    next: nextSteps(steps),
  };
}

interface Planned {
  readonly configuration: Configuration;
  /** Which member this machine is; null when that is not known. */
  readonly node: string | null;
  /** To be written; null when it is there. */
  readonly text: string | null;
  /** Whether it was made from flags or answers. */
  readonly isNew: boolean;
  readonly pinned: readonly PinnedKey[];
}

async function plan(args: Args, surroundings: Surroundings): Promise<Planned> {
  const { io, user } = surroundings;
  const existing = existingPath(args, io);
  if (existing !== null) {
    const configuration = loadConfiguration(existing, { environment: io.environment });
    return { configuration, node: await nodeOf(configuration, args, io), text: null, isNew: false, pinned: [] };
  }
  const { flags: given, node } = await completed(args, surroundings);
  // Another account could not read it in this user's directory.
  const usual = given.account === undefined || given.account === user.name ? CONFIGURATION_FILE : SYSTEM_FILE;
  const path = resolve(io.workingDirectory, args.output ?? args.config ?? usual);
  const { flags, pinned } = await withHostKeys(given, args, surroundings);
  const text = configurationText(flags, user);
  const configuration = parseConfiguration(text, path, { environment: io.environment });
  const isThere = existsSync(path) && readFileSync(path, "utf8") === text;
  if (args.force !== true && existsSync(path) && !isThere) {
    const hint = "name another file with --output, or replace it with --force";
    throw new CliError("FILE_EXISTS", "there is another configuration already", { path, hint });
  }
  return { configuration, node, text: isThere ? null : text, isNew: true, pinned };
}

/** The file to work with when no flag describes another one; null when there is none. */
function existingPath(args: Args, io: CommandIo): string | null {
  const { mirror, operational, member, database, output, force } = args;
  const isDescribed = [mirror, operational, member, database, output].some((flag) => flag !== undefined);
  if (isDescribed || force === true) return null;
  const path = configurationPathOrNull(args, io);
  if (path !== null && existsSync(path)) return path;
  if (args.authorize === undefined) return null;
  throw new CliError("FILE_MISSING", "there is no configuration here whose members could be let in", {
    hint: "run the command in the directory of afterimage.yaml, or name the file with --config",
  });
}

async function nodeOf({ members }: Configuration, args: Args, io: CommandIo): Promise<string> {
  const named = args.node ?? io.environment.AFTERIMAGE_NODE;
  if (named !== undefined && named !== "") return named;
  if (!canAsk(args, io)) {
    const hint = `say which member this machine is: --node, one of ${[...members.keys()].join(", ")}`;
    throw new CliError("NODE_REQUIRED", "nothing says which member is to be prepared", { hint });
  }
  const { askNode } = await import("./init-questions.ts");
  return await askNode([...members.keys()]);
}

interface Completed {
  readonly flags: InitFlags;
  /** Which member this machine is; null when that is not known. */
  readonly node: string | null;
}

/** A person is asked for everything when a flag is missing: half of an answer would be no less to type. */
async function completed(args: Args, { io, user }: Surroundings): Promise<Completed> {
  const { mirror, operational, member, database } = args;
  const node = args.node ?? io.environment.AFTERIMAGE_NODE ?? null;
  if (mirror !== undefined && operational !== undefined && member !== undefined && database !== undefined)
    return { flags: { ...args, mirror, operational, member, database }, node };
  if (!canAsk(args, io)) throw missingFlag(args);
  const { askInit } = await import("./init-questions.ts");
  const answers = await askInit(io.workingDirectory, user);
  return { flags: { ...args, ...answers }, node: answers.node };
}

/** Pins what the servers show, when that is asked for or agreed to; else the configuration says what is missing. */
async function withHostKeys(
  flags: InitFlags,
  args: Args,
  { io, user }: Surroundings,
): Promise<{ flags: InitFlags; pinned: PinnedKey[] }> {
  const missing = unpinned(flags, user);
  const hostKey = [...(flags.hostKey ?? [])];
  const pinned: PinnedKey[] = [];
  if (args.pinHostKeys === true) {
    pinned.push(...(await Promise.all(missing.map(askServer))));
    hostKey.push(...pinned.map(({ member, fingerprint }) => `${member}=${fingerprint}`));
  } else if (missing.length > 0 && canAsk(args, io)) {
    const { askToPin } = await import("./init-questions.ts");
    for (const member of missing) hostKey.push(`${member.member}=${await askToPin(member)}`);
  } else if (missing.length > 0) {
    const names = missing.map(({ member }) => member).join(", ");
    throw new CliError("USAGE", `the host keys of ${names} are not pinned`, {
      hint: "give --host-key NAME=SHA256:..., or --pin-host-keys to pin what the servers show now, and compare them afterwards",
    });
  }
  return { flags: { ...flags, hostKey }, pinned };
}

function canAsk(args: GlobalOptions, io: CommandIo): boolean {
  return io.interactive && args.json !== true;
}

function missingFlag(args: InitOptions): CliError {
  const needed = ["mirror", "operational", "member", "database"] as const;
  const flag = needed.find((name) => args[name] === undefined) ?? "mirror";
  return new CliError("USAGE", `required option '--${flag}' is missing, and nobody can be asked`, {
    hint: "run the command on a terminal, or see `afterimage init --help`",
  });
}

async function mayConvert(paths: readonly string[], args: Args, io: CommandIo): Promise<boolean> {
  if (args.convertWal === true) return true;
  if (!canAsk(args, io)) return false;
  const { askConversion } = await import("./init-questions.ts");
  return await askConversion(paths);
}

/** Who runs the daemon: the account that owns the mailbox, since both write in it. */
function runner(member: MemberConfiguration, keys: KeysPlace, own: SystemUser): string {
  const mailbox = parseMailbox(member.mailbox);
  const isSeparate = keys.kind === "separate" && typeof mailbox !== "string" && mailbox.kind === "sftp";
  return isSeparate ? mailbox.user : own.name;
}

function program(user: string) {
  const [, path = "afterimage"] = process.argv;
  return { user, group: groupOf(user), program: `${process.execPath} ${path}` };
}

/** Null for an account that is not there yet: systemd then takes its first group. */
function groupOf(user: string): string | null {
  try {
    return execFileSync("id", ["-gn", user], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return null;
  }
}

function write(path: string, text: string): void {
  makeDirectory(dirname(path));
  writeFileDurably(path, text);
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

export const registerInit: Register = (program, execute) => {
  program
    .command("init")
    .description(
      "write a configuration, and prepare this machine as the member that --node names; with a configuration that is there " +
        "(--config, or in the working directory), only prepare; asks on a terminal for what is missing",
    )
    .option("--mirror <name>", "name of the mirror set")
    .option("--operational <member>", "the member that applications write to at first")
    .option("--member <name=host>", "a member: its host, host:port, or the URL of its mailbox (repeat)", collect)
    .option("--database <[member:]name=path>", "a database of every member, or of one (repeat)", collect)
    .option("--state <name=dir>", "a member's state directory (/var/lib/afterimage) (repeat)", collect)
    .option("--directory <name=dir>", "a mailbox as its own member sees it (the URL's path) (repeat)", collect)
    .option("--follows <name=name>", "a member's upstream, for chains (repeat)", collect)
    .option("--type <name=type>", "failover, dr or reporting (repeat)", collect)
    .option("--account <user>", "whom the others log in as on a host (this user; another one is confined by OpenSSH)")
    .option("--identity <file>", "private key to log in with; made when it is not there (in the state directory)")
    .option("--pin-host-keys", "pin the host keys that the servers show now; compare them afterwards")
    .option("--host-key <name=fingerprint>", "pin this host key, SHA256:... (repeat)", collect)
    .option("--authorize <name=key>", "let another member's public key in, on this machine (repeat)", collect)
    .addOption(
      new Option("--http [port]", "health checks, metrics and a page on this port of the loopback address (8008)")
        .argParser(parsePort)
        .preset("8008"),
    )
    .option("--rotate <schedule>", "cron expression, or continuous")
    .option(
      "--output <file>",
      "the configuration to write (./afterimage.yaml; with another --account /etc/afterimage.yaml)",
    )
    .option("--convert-wal", "convert this machine's databases to WAL mode")
    .option("--force", "replace an existing configuration")
    .action((options: InitOptions, command: Command) =>
      execute(command, (globals, io) => init({ ...globals, ...options }, io)),
    );
};

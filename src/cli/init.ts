/**
 * `afterimage init`: writes a configuration, and prepares this machine when `--node` names it.
 *
 * Everything that can be refused is checked before the first change, and the file is written last: a command that was
 * interrupted can be run again.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { type Configuration, type MemberConfiguration, selectMember } from "../config/configuration.ts";
import { patternDirectory } from "../config/database-pattern.ts";
import { parseConfiguration } from "../config/load-configuration.ts";
import { makeDirectory, writeFileDurably } from "../durable-files.ts";
import { messageOf } from "../errno.ts";
import { DatabaseError } from "../sqlite/database-error.ts";
import { CliError } from "./cli-error.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { convertToWal, databasesToConvert, refuseForeignDatabases } from "./init-databases.ts";
import { configurationText, type InitFlags } from "./init-plan.ts";
import { CONFIGURATION_FILE } from "./open-configuration.ts";
import type { Register } from "./register.ts";

interface InitOptions extends Partial<InitFlags> {
  readonly output?: string;
  readonly convertWal?: boolean;
  readonly force?: boolean;
}

interface Preparation {
  readonly directories: readonly string[];
  readonly converted: readonly string[];
}

export async function init(args: InitOptions & GlobalOptions, io: CommandIo): Promise<number> {
  const path = resolve(io.workingDirectory, args.output ?? args.config ?? CONFIGURATION_FILE);
  const { flags, node } = await completed(args, io);
  const text = configurationText(flags);
  const configuration = parseConfiguration(text, path, { environment: io.environment });
  if (args.force !== true && existsSync(path) && readFileSync(path, "utf8") !== text) {
    const hint = "name another file with --output, or replace it with --force";
    throw new CliError("FILE_EXISTS", "there is another configuration already", { path, hint });
  }
  const prepared = node === null ? null : await prepare(configuration, selectMember(configuration, node), { args, io });
  write(path, text);
  const next = nextCommands(configuration, path, node);
  print(args, io, { file: path, ...(prepared ?? { directories: [], converted: [] }), next }, () => [
    `Wrote ${path}`,
    ...(prepared?.converted ?? []).map((database) => `Converted ${database} to WAL mode`),
    ...(prepared?.directories ?? []).map((directory) => `Made ${directory}`),
    ...(args.quiet === true ? [] : ["Next:", ...next.map((command) => `  ${command}`)]),
  ]);
  return EXIT.done;
}

interface Completed {
  readonly flags: InitFlags;
  /** Which member this machine is; null when that is not known. */
  readonly node: string | null;
}

/** A person is asked for everything when a flag is missing: half of an answer would be no less to type. */
async function completed(args: InitOptions & GlobalOptions, io: CommandIo): Promise<Completed> {
  const { mirror, operational, member, database } = args;
  const node = args.node ?? io.environment.AFTERIMAGE_NODE ?? null;
  if (mirror !== undefined && operational !== undefined && member !== undefined && database !== undefined)
    return { flags: { ...args, mirror, operational, member, database }, node };
  if (!canAsk(args, io)) throw missingFlag(args);
  const { askInit } = await import("./init-questions.ts");
  const answers = await askInit(io.workingDirectory);
  return { flags: { ...args, ...answers }, node: answers.node };
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

async function prepare(
  configuration: Configuration,
  member: MemberConfiguration,
  { args, io }: { readonly args: InitOptions & GlobalOptions; readonly io: CommandIo },
): Promise<Preparation> {
  const operational = member.name === configuration.operational;
  if (!operational) refuseForeignDatabases(member);
  const toConvert = operational ? databasesToConvert(member) : [];
  const [unconverted] = toConvert;
  if (unconverted !== undefined && args.convertWal !== true && !(await agreesToConvert(toConvert, args, io))) {
    throw new DatabaseError("DATABASE_NOT_WAL", "the database is not in WAL mode", {
      path: unconverted,
      hint: "run the command again with --convert-wal; applications need no change, but all must be on this machine",
    });
  }
  for (const path of toConvert) convertToWal(path);
  const ofDatabases = [...member.databases.values()].map((path) => dirname(path));
  const wanted = [member.directory, member.state, ...ofDatabases, ...member.databasePatterns.map(patternDirectory)];
  const directories = [...new Set(wanted)].filter((directory) => !existsSync(directory));
  for (const directory of directories) attempt(directory, () => makeDirectory(directory));
  return { directories, converted: toConvert };
}

async function agreesToConvert(paths: readonly string[], args: GlobalOptions, io: CommandIo): Promise<boolean> {
  if (!canAsk(args, io)) return false;
  const { askConversion } = await import("./init-questions.ts");
  return await askConversion(paths);
}

function write(path: string, text: string): void {
  attempt(path, () => {
    makeDirectory(dirname(path));
    writeFileDurably(path, text);
  });
}

function attempt(path: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    const hint = "run the command as a user who may write there, or name another place";
    throw new CliError("FILE_UNWRITABLE", `cannot be made: ${messageOf(error)}`, { path, hint, cause: error });
  }
}

/** On every machine, once. */
const SSH_STEPS = [
  "make a key for the user that Afterimage runs as, where it has none (ssh-keygen -t ed25519), and name it in `ssh.identity`",
  "let sshd serve the mailbox, with the other members' public keys: config/sshd-mailbox.conf",
  "see that all is well with `afterimage doctor`",
];

/** What to do where: on this machine when it is known, else on each of them, the operational one first. */
function nextCommands(configuration: Configuration, path: string, node: string | null): string[] {
  const { operational } = configuration;
  const others = [...configuration.members.keys()].filter((name) => name !== operational);
  const names = node === null ? [operational, ...others] : [node];
  const copy = node === null || others.length === 0 ? [] : [`copy ${path} to the other members`];
  const overSsh = [...configuration.members.values()].some(({ mailbox }) => mailbox.startsWith("sftp:"));
  return [
    ...copy,
    ...(overSsh ? SSH_STEPS : []),
    ...names.map((name) => `afterimage --config ${path} --node ${name} run`),
  ];
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

export const registerInit: Register = (program, execute) => {
  program
    .command("init")
    .description(
      "write a configuration, and prepare this machine when --node names it; asks on a terminal for what is missing",
    )
    .option("--mirror <name>", "name of the mirror set")
    .option("--operational <member>", "the member that applications write to at first")
    .option("--member <name=url>", "a member and its mailbox (repeat)", collect)
    .option("--database <[member:]name=path>", "a database of every member, or of one (repeat)", collect)
    .option("--state <name=dir>", "a member's state directory (/var/lib/afterimage) (repeat)", collect)
    .option("--follows <name=name>", "a member's upstream, for chains (repeat)", collect)
    .option("--type <name=type>", "failover, dr or reporting (repeat)", collect)
    .option("--host-key <name=fingerprint>", "SSH host key of an sftp mailbox (repeat)", collect)
    .option("--rotate <schedule>", "cron expression, or continuous")
    .option("--output <file>", "the configuration to write (./afterimage.yaml)")
    .option("--convert-wal", "convert this machine's databases to WAL mode")
    .option("--force", "replace an existing configuration")
    .action((options: InitOptions, command: Command) =>
      execute(command, (globals, io) => init({ ...globals, ...options }, io)),
    );
};

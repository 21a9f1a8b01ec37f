/**
 * `afterimage init`: writes a configuration, and prepares the machine that `--node` names; with a configuration that is there
 * already, as on the second machine, it only prepares.
 *
 * Everything that can be refused is checked before the first change; nothing that is there is replaced, and a command that was
 * interrupted can be run again.
 */
import { execFileSync } from "node:child_process";
import { userInfo } from "node:os";
import { dirname } from "node:path";
import { type Command, Option } from "commander";
import { type MemberConfiguration, selectMember } from "../config/configuration.ts";
import { parseMailbox } from "../config/mailbox-url.ts";
import { checkApplications } from "../doctor/check-applications.ts";
import { type MailboxTrial, tryMailbox } from "../doctor/try-mailbox.ts";
import { makeDirectory, writeFileDurably } from "../durable-files.ts";
import type { CheckResult } from "../member/check-result.ts";
import { type CommandIo, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { canAsk, type InitArguments, type InitOptions, planInit, type Surroundings } from "./init-arguments.ts";
import { filesDirectory, writeMachineFiles } from "./init-files.ts";
import type { PinnedKey } from "./init-host-keys.ts";
import { initLines } from "./init-lines.ts";
import { attempt, type Preparation, prepareMachine } from "./init-machine.ts";
import { type NextStep, nextSteps } from "./init-next-steps.ts";
import type { SystemUser } from "./init-plan.ts";
import { type KeysPlace, keysPlace, keysToAuthorize } from "./init-ssh.ts";
import { parsePort } from "./parse-port.ts";
import type { Register } from "./register.ts";

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

export async function init(args: InitArguments, io: CommandIo): Promise<number> {
  const { uid, username: name, homedir: home } = userInfo();
  const report = await initReport(args, { io, user: { name, home, isRoot: uid === 0 } });
  print(args, io, report, () => initLines(report, args));
  return EXIT.done;
}

async function initReport(args: InitArguments, { io, user }: Surroundings): Promise<InitReport> {
  const planned = await planInit(args, { io, user });
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

async function mayConvert(paths: readonly string[], args: InitArguments, io: CommandIo): Promise<boolean> {
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

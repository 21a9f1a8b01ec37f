/** What `afterimage init` is to work with: a configuration that is there, or one that flags and answers describe. */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Configuration } from "../config/configuration.ts";
import { loadConfiguration, parseConfiguration } from "../config/load-configuration.ts";
import { CliError } from "./cli-error.ts";
import type { CommandIo, GlobalOptions } from "./command-io.ts";
import { askServer, type PinnedKey, unpinned } from "./init-host-keys.ts";
import { configurationText, type InitFlags, type SystemUser } from "./init-plan.ts";
import { CONFIGURATION_FILE, configurationPathOrNull, preparedAs, SYSTEM_FILE } from "./open-configuration.ts";

export interface InitOptions extends Partial<InitFlags> {
  readonly output?: string;
  readonly convertWal?: boolean;
  readonly pinHostKeys?: boolean;
  /** `NAME=TYPE KEY` */
  readonly authorize?: readonly string[];
  readonly force?: boolean;
}

export type InitArguments = InitOptions & GlobalOptions;

export interface Surroundings {
  readonly io: CommandIo;
  readonly user: SystemUser;
}

export interface InitPlan {
  readonly configuration: Configuration;
  /** Which member this machine is; null when that is not known. */
  readonly node: string | null;
  /** To be written; null when it is there. */
  readonly text: string | null;
  /** Whether it was made from flags or answers. */
  readonly isNew: boolean;
  readonly pinned: readonly PinnedKey[];
}

export async function planInit(args: InitArguments, surroundings: Surroundings): Promise<InitPlan> {
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

/** Flags that say what is to stand in a configuration, besides those without which there is none. */
const OF_A_NEW_ONE = [
  ...(["state", "directory", "follows", "type", "hostKey", "pinHostKeys"] as const),
  ...(["account", "identity", "http", "rotate"] as const),
];

function flagOf(option: string): string {
  return option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The file to work with when no flag describes another one; null when there is none. */
function existingPath(args: InitArguments, io: CommandIo): string | null {
  const { mirror, operational, member, database, output, force } = args;
  const isDescribed = [mirror, operational, member, database, output].some((flag) => flag !== undefined);
  if (isDescribed || force === true) return null;
  const path = configurationPathOrNull(args, io);
  if (path !== null && existsSync(path)) {
    const unused = OF_A_NEW_ONE.find((name) => args[name] !== undefined);
    if (unused === undefined) return path;
    throw new CliError("USAGE", `--${flagOf(unused)} is for a new configuration, and there is one`, {
      path,
      hint: "change the file itself, or describe another one with --mirror, --operational, --member and --database",
    });
  }
  if (args.authorize === undefined) return null;
  throw new CliError("FILE_MISSING", "there is no configuration here whose members could be let in", {
    hint: "run the command in the directory of afterimage.yaml, or name the file with --config",
  });
}

async function nodeOf({ members }: Configuration, args: InitArguments, io: CommandIo): Promise<string> {
  const named = args.node ?? io.environment.AFTERIMAGE_NODE;
  if (named !== undefined && named !== "") return named;
  const [only, another] = [...members.values()].filter(({ name, state }) => preparedAs(state) === name);
  if (only !== undefined && another === undefined) return only.name;
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
async function completed(args: InitArguments, { io, user }: Surroundings): Promise<Completed> {
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
  args: InitArguments,
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

export function canAsk(args: GlobalOptions, io: CommandIo): boolean {
  return io.interactive && args.json !== true;
}

function missingFlag(args: InitOptions): CliError {
  const needed = ["mirror", "operational", "member", "database"] as const;
  const flag = needed.find((name) => args[name] === undefined) ?? "mirror";
  return new CliError("USAGE", `required option '--${flag}' is missing, and nobody can be asked`, {
    hint: "run the command on a terminal, or see `afterimage init --help`",
  });
}

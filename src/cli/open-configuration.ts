/** Which configuration file, and which of its members this machine is. */
import { accessSync, constants, existsSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { ConfigError } from "../config/config-error.ts";
import { type Configuration, type MemberConfiguration, selectMember } from "../config/configuration.ts";
import { loadConfiguration } from "../config/load-configuration.ts";
import { CliError } from "./cli-error.ts";
import type { CommandIo, GlobalOptions } from "./command-io.ts";

export const CONFIGURATION_FILE = "afterimage.yaml";
/** In a state directory: whose it is, so that members that have theirs at one path on different machines are told apart. */
export const NODE_FILE = "node";
export const SYSTEM_FILE = join("/etc", CONFIGURATION_FILE);

export interface Selection {
  readonly configuration: Configuration;
  readonly member: MemberConfiguration;
}

/** `--config`, else the file in the working directory, else the machine's. @throws ConfigError CONFIG_MISSING. */
export function configurationPath(args: GlobalOptions, io: CommandIo): string {
  const found = configurationPathOrNull(args, io);
  if (found !== null) return found;
  throw new ConfigError("CONFIG_MISSING", `there is neither ./${CONFIGURATION_FILE} nor ${SYSTEM_FILE}`, {
    hint: "name a file with --config, or make one with `afterimage init`",
  });
}

/** As {@link configurationPath}, for commands that can do without: null when none is named and none is there. */
export function configurationPathOrNull(args: GlobalOptions, io: CommandIo): string | null {
  if (args.config !== undefined) return resolve(io.workingDirectory, args.config);
  return [join(io.workingDirectory, CONFIGURATION_FILE), SYSTEM_FILE].find((path) => existsSync(path)) ?? null;
}

/** @throws ConfigError; CliError NODE_REQUIRED when nothing says which member this machine is, FILE_UNREADABLE. */
export function openConfiguration(args: GlobalOptions, io: CommandIo): Selection {
  const configuration = loadConfiguration(configurationPath(args, io), { environment: io.environment });
  return { configuration, member: selectMember(configuration, memberName(configuration, args, io)) };
}

function memberName(configuration: Configuration, args: GlobalOptions, io: CommandIo): string {
  const named = args.node ?? io.environment.AFTERIMAGE_NODE;
  if (named !== undefined && named !== "") return named;
  const present = [...configuration.members.values()].filter(({ name, state }) => {
    return existsSync(state) && [null, name].includes(preparedAs(state));
  });
  const [only, another] = present;
  if (only !== undefined && another === undefined) return only.name;
  const closed = present.find(({ state }) => !mayRead(state));
  if (closed !== undefined) {
    throw new CliError("FILE_UNREADABLE", "this user may not look into the state directory on this machine", {
      path: closed.state,
      hint: `run the command as its owner, who runs the daemon: sudo -u '#${statSync(closed.state).uid}' afterimage ...`,
    });
  }
  const message =
    only === undefined
      ? "no member's state directory exists on this machine, so that it could be any of them"
      : `the state directories of ${present.map(({ name }) => name).join(" and ")} exist on this machine`;
  throw new CliError("NODE_REQUIRED", message, {
    path: configuration.path,
    hint: `say which member this is: --node or AFTERIMAGE_NODE, one of ${[...configuration.members.keys()].join(", ")}`,
  });
}

function mayRead(directory: string): boolean {
  try {
    accessSync(directory, constants.R_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Which member a state directory was prepared for; null when `afterimage init` has not said. */
export function preparedAs(state: string): string | null {
  const path = join(state, NODE_FILE);
  return existsSync(path) ? readFileSync(path, "utf8").trim() : null;
}

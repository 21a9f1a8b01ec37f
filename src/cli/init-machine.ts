/** What `afterimage init` changes on the machine that it is run on: databases, directories, the key, who may log in. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import { makeDirectory, makePrivateDirectory, writeFileDurably } from "../durable-files.ts";
import { messageOf } from "../errno.ts";
import { DatabaseError } from "../sqlite/database-error.ts";
import { CliError } from "./cli-error.ts";
import { convertToWal, databasesToConvert, refuseForeignDatabases } from "./init-databases.ts";
import { databaseDirectories } from "./init-files.ts";
import { authorize, type KeysPlace, type MemberKey, prepareKey } from "./init-ssh.ts";
import { NODE_FILE, preparedAs } from "./open-configuration.ts";

export interface MachineParts {
  readonly configuration: Configuration;
  readonly member: MemberConfiguration;
  readonly keys: KeysPlace;
  /** Public keys by member that may log in from now on. */
  readonly admitted: ReadonlyMap<string, string>;
  /** Whether databases may be converted to WAL mode. */
  agreesToConvert(paths: readonly string[]): Promise<boolean>;
}

export interface Preparation {
  readonly directories: readonly string[];
  readonly converted: readonly string[];
  readonly key: MemberKey | null;
  /** Members that could not log in before. */
  readonly admitted: readonly string[];
}

/** Refuses before the first change what can be refused; may be done again. */
export async function prepareMachine(parts: MachineParts): Promise<Preparation> {
  const { configuration, member, keys } = parts;
  refuseOtherMachine(member);
  const operational = member.name === configuration.operational;
  if (!operational) refuseForeignDatabases(member);
  const toConvert = operational ? databasesToConvert(member) : [];
  const [unconverted] = toConvert;
  if (unconverted !== undefined && !(await parts.agreesToConvert(toConvert))) {
    throw new DatabaseError("DATABASE_NOT_WAL", "the database is not in WAL mode", {
      path: unconverted,
      hint: "run the command again with --convert-wal; applications need no change, but all must be on this machine",
    });
  }
  for (const path of toConvert) convertToWal(path);
  const wanted = [member.directory, member.state, ...databaseDirectories(member)];
  const directories = [...new Set(wanted)].filter((directory) => !existsSync(directory));
  const own = [member.state, member.directory];
  for (const directory of directories)
    attempt(directory, () => (own.includes(directory) ? makePrivateDirectory : makeDirectory)(directory));
  const nodePath = join(member.state, NODE_FILE);
  attempt(nodePath, () => writeFileDurably(nodePath, `${member.name}\n`));
  const key = attempt(configuration.ssh.identity ?? "", () => prepareKey(configuration));
  const admitted = attempt("path" in keys ? keys.path : "", () =>
    authorize(parts.admitted, keys, configuration.mirror),
  );
  return { directories, converted: toConvert, key, admitted };
}

/**
 * Two members can be on one machine, but not in one state directory: a command for another machine was typed here.
 * @throws CliError NODE_OTHER.
 */
function refuseOtherMachine({ name, state }: MemberConfiguration): void {
  const prepared = preparedAs(state);
  if (prepared === null || prepared === name) return;
  throw new CliError("NODE_OTHER", `this machine was prepared as ${prepared}, not as ${name}`, {
    path: state,
    hint: `run the command on the machine of ${name}; were both to be here, each needs a state directory of its own`,
  });
}

/** @throws CliError FILE_UNWRITABLE. */
export function attempt<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof CliError) throw error;
    const hint = "run the command as a user who may write there, or name another place";
    throw new CliError("FILE_UNWRITABLE", `cannot be made: ${messageOf(error)}`, { path, hint, cause: error });
  }
}

import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { errnoOf, messageOf } from "../errno.ts";
import { CliError } from "./cli-error.ts";
import type { CommandIo } from "./command-io.ts";

/** The absolute path, without symbolic links, of a file that the user named. @throws CliError FILE_MISSING or FILE_UNREADABLE. */
export function resolveFile(file: string, io: CommandIo): string {
  const path = resolve(io.workingDirectory, file);
  try {
    return realpathSync(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT")
      throw new CliError("FILE_MISSING", "there is no such file", { path, cause: error });
    throw new CliError("FILE_UNREADABLE", `the file cannot be read: ${messageOf(error)}`, { path, cause: error });
  }
}

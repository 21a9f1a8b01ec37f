import { realpathSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { errnoOf, messageOf } from "../errno.ts";
import { FileSource } from "../journal/file-source.ts";
import { CliError } from "./cli-error.ts";
import type { CommandIo } from "./command-io.ts";

/** Opens a segment file that the user named, through symbolic links. @throws CliError FILE_MISSING or FILE_UNREADABLE. */
export function openSegment(file: string, io: CommandIo): FileSource {
  const path = resolve(io.workingDirectory, file);
  try {
    const target = realpathSync(path);
    // Opening a pipe would wait for a writer.
    if (statSync(target).isFile()) return new FileSource(target);
  } catch (error) {
    if (errnoOf(error) === "ENOENT")
      throw new CliError("FILE_MISSING", "there is no such file", { path, cause: error });
    throw new CliError("FILE_UNREADABLE", `the file cannot be read: ${messageOf(error)}`, { path, cause: error });
  }
  throw new CliError("FILE_UNREADABLE", "this is not a file", { path });
}

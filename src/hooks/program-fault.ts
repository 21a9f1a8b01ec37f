import { accessSync, constants, statSync } from "node:fs";
import { errnoOf } from "../errno.ts";

export interface ProgramFault {
  /** Begins with the path. */
  readonly message: string;
  /** What to do next. */
  readonly hint: string;
}

/** Why this user cannot run the program at `path`; null when there is nothing against it. */
export function programFault(path: string): ProgramFault | null {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    return { message: `${path} is not there`, hint: "Put the program there, or correct the key in the configuration." };
  }
  if (!found.isFile()) return { message: `${path} is not a file`, hint: "Name the program itself." };
  try {
    accessSync(path, constants.X_OK);
    return null;
  } catch (error) {
    const hint = `Run \`chmod +x ${path}\`, as its owner; check that its file system is not mounted with noexec.`;
    return { message: `${path} cannot be executed (${errnoOf(error) ?? "not allowed"})`, hint };
  }
}

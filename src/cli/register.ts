import type { Command } from "commander";
import type { CommandIo, GlobalOptions } from "./command-io.ts";

/** Runs an action with the command's global flags; its exit code becomes the program's, and its error is printed. */
export type Execute = (
  command: Command,
  action: (globals: GlobalOptions, io: CommandIo) => Promise<number>,
) => Promise<void>;

/** Every command's file exports one of these: it adds the command, its arguments and flags. */
export type Register = (program: Command, execute: Execute) => void;

import type { StepListener } from "../member/runbook-steps.ts";
import type { CommandIo, GlobalOptions } from "./command-io.ts";

/** Prints the steps of a command as they are done; a JSON document has them all at its end, or does without. */
export function stepPrinter({ json, quiet }: GlobalOptions, io: CommandIo): StepListener {
  return ({ message }) => {
    if (json !== true && quiet !== true) io.out(message);
  };
}

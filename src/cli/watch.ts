import { setTimeout as delay } from "node:timers/promises";
import { InvalidArgumentError } from "commander";
import type { CommandIo, GlobalOptions } from "./command-io.ts";
import { printError } from "./print-error.ts";

const EVERY_S = 2;
const MOST_S = 86_400;

/**
 * Does `round` again and again, on a terminal on a screen of its own, until a signal ends the process. A round that fails is
 * shown and does not end it: what is watched is often just what fails.
 */
export async function watch(
  seconds: number,
  { args, io }: { readonly args: GlobalOptions; readonly io: CommandIo },
  round: () => Promise<number>,
): Promise<never> {
  for (;;) {
    io.clear();
    try {
      await round();
    } catch (error) {
      printError(error, io, { json: args.json === true });
    }
    await delay(seconds * 1000);
  }
}

/** Seconds of `--watch`, for commander. */
export function parseSeconds(text: string): number {
  const seconds = /^\d{1,5}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds < 0.1 || seconds > MOST_S) throw new InvalidArgumentError(`It must be seconds, from 0.1 to ${MOST_S}.`);
  return seconds;
}

/** Of a flag that may come without a value, which commander then gives as true. */
export function watchSeconds(flag: number | true): number {
  return flag === true ? EVERY_S : flag;
}

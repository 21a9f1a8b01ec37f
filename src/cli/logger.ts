/** Logs go to standard error: JSON lines for machines, short lines for people. */
import { Writable } from "node:stream";
import { destination, type LevelWithSilent, type Logger, pino } from "pino";
import type { CommandIo } from "./command-io.ts";

const STANDARD_ERROR = 2;
const LEVEL_NAMES: Readonly<Record<number, string>> = { 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal" };

export function createLogger(io: CommandIo, level: LevelWithSilent): Logger {
  const options = { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` };
  return io.terminal
    ? pino(options, readableLines(io))
    : pino(options, destination({ fd: STANDARD_ERROR, sync: true }));
}

function readableLines(io: CommandIo): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString("utf8").split("\n")) if (line !== "") io.err(readable(line));
      done();
    },
  });
}

/** `12:00:00.000 info  message  key=value`. */
function readable(line: string): string {
  const { time = "", level, msg = "", ...rest }: Record<string, unknown> = JSON.parse(line);
  const facts = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const name = LEVEL_NAMES[Number(level)] ?? String(level);
  return [`${String(time).slice(11, 23)} ${name.padEnd(5)} ${String(msg)}`, ...facts].join("  ");
}

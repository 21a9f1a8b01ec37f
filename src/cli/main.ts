/** The entry: the only place that ends the process. */
import { errnoOf } from "../errno.ts";
import { runProgram } from "./program.ts";

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error) => {
    // `afterimage segments | head` is no failure.
    if (errnoOf(error) === "EPIPE") process.exit(0);
    throw error;
  });
}

const terminal = process.stderr.isTTY === true;

process.exit(
  await runProgram(process.argv.slice(2), {
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
    environment: process.env,
    workingDirectory: process.cwd(),
    redraw: (line) => void (terminal && process.stderr.write(`\r\x1b[K${line}`)),
    clear: () => void (process.stdout.isTTY === true && process.stdout.write("\x1b[2J\x1b[H")),
    terminal,
    interactive: process.stdin.isTTY === true && process.stdout.isTTY === true,
  }),
);

/**
 * A member's daemon that kills a daemon with SIGKILL when it comes to a named step. What to do stands in a file, which it
 * reads at every step, and removes. Arguments: configuration file, member, file of instructions.
 */
import { readFileSync, rmSync } from "node:fs";
import { pino } from "pino";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { Member } from "../../src/member/member.ts";
import type { KillInstruction } from "./instructed-daemons.ts";

const [path = "", member = "", instructions = ""] = process.argv.slice(2);

function instruction(): KillInstruction | null {
  try {
    return JSON.parse(readFileSync(instructions, "utf8")) as KillInstruction;
  } catch {
    return null;
  }
}

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
await using daemon = await Member.open({
  configuration: loadConfiguration(path),
  member,
  logger: pino(pino.destination(2)),
  onStep: (step) => {
    if (!step.includes(":")) return;
    const kill = instruction();
    if (kill?.step !== step) return;
    rmSync(instructions);
    process.kill(kill.pid, "SIGKILL");
  },
});
await daemon.run(stop.signal);

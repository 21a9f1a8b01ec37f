/**
 * `afterimage rejoin --yes` without a daemon, in a process that kills itself with SIGKILL when it comes to a named step.
 * Arguments: configuration file, member, step.
 */
import { pino } from "pino";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { Member } from "../../src/member/member.ts";

const [path = "", name = "", step = ""] = process.argv.slice(2);

await using member = await Member.open({
  configuration: loadConfiguration(path),
  member: name,
  logger: pino(pino.destination(2)),
  onStep: (at) => {
    if (at === step) process.kill(process.pid, "SIGKILL");
  },
});
await member.rejoin({});

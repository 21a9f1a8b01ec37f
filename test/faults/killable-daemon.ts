/**
 * A mirror's daemon that kills itself with SIGKILL when it comes to a named step for the given time.
 * Arguments: configuration file, member, step, count.
 */
import { pino } from "pino";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { Member } from "../../src/member/member.ts";

const [path = "", member = "", step = "", count = "1"] = process.argv.slice(2);
let left = Number(count);

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
await using daemon = await Member.open({
  configuration: loadConfiguration(path),
  member,
  logger: pino(pino.destination(2)),
  onStep: (at) => {
    if (at === step && --left === 0) process.kill(process.pid, "SIGKILL");
  },
});
await daemon.run(stop.signal);

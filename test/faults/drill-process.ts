/**
 * A drill that kills itself with SIGKILL when it comes to a named step. Prints its result when it ends.
 * Arguments: configuration file, member, step, script.
 */
import { join } from "node:path";
import { drillConfiguration, selectMember } from "../../src/config/configuration.ts";
import { loadConfiguration } from "../../src/config/load-configuration.ts";
import { connectControl } from "../../src/member/control-client.ts";
import { drill } from "../../src/runbook/drill.ts";

const [path = "", name = "", step = "", script = ""] = process.argv.slice(2);
const configuration = loadConfiguration(path);
const self = selectMember(configuration, name);
const control = await connectControl(join(self.state, "control.sock"));
if (control === null) throw new Error("no daemon runs");
const result = await drill({
  ...{ configuration, self, control, databases: [], script, directory: null, keep: false },
  scriptLimitMs: drillConfiguration(self).timeLimitMs,
  signal: new AbortController().signal,
  onStep: (at) => {
    if (at.step === step) process.kill(process.pid, "SIGKILL");
  },
});
console.log(JSON.stringify(result));

/** `afterimage reload`: the daemon reads its configuration again, as on SIGHUP, and this command says what became of it. */
import { join } from "node:path";
import type { Command } from "commander";
import { connectControl } from "../member/control-client.ts";
import { notRunning } from "../member/member-error.ts";
import { type CommandIo, type GlobalOptions, print } from "./command-io.ts";
import { EXIT } from "./exit-codes.ts";
import { openConfiguration } from "./open-configuration.ts";
import type { Register } from "./register.ts";

/** A file with faults is refused here already, with all of them: the daemon is not asked to read it. */
async function reload(args: GlobalOptions, io: CommandIo): Promise<number> {
  const { member } = openConfiguration(args, io);
  const control = await connectControl(join(member.state, "control.sock"));
  if (control === null) throw notRunning(member.name);
  const { changed } = await control.reload();
  print(args, io, { changed }, () =>
    changed.length === 0 ? ["nothing has changed"] : changed.map((key) => `changed: ${key}`),
  );
  return EXIT.done;
}

export const registerReload: Register = (program, execute) => {
  program
    .command("reload")
    .description("make the daemon read its configuration again")
    .action((_options: object, command: Command) => execute(command, reload));
};

import { existsSync, renameSync } from "node:fs";
import { startSshServer } from "./ssh-server.ts";
import { describeTransport } from "./transport-contract.ts";

describeTransport("an OpenSSH server", async () => {
  const server = await startSshServer();
  return {
    open: () => server.open(),
    takeAway: () => renameSync(server.directory, `${server.directory}.gone`),
    isThere: () => existsSync(server.directory),
  };
});

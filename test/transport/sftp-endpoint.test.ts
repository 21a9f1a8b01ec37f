import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { MOUNTED_AT, runEndpoint } from "../endpoint/running-endpoint.ts";
import { describeTransport } from "./transport-contract.ts";

/** The suite writes any name, and the endpoint takes names below the inbox only: so the inbox is the mailbox here. */
describeTransport("the endpoint of a daemon", async () => {
  const endpoint = await runEndpoint();
  const inbox = join(endpoint.directory, "inbox");
  return {
    open: () => endpoint.open({ path: `${MOUNTED_AT}/inbox` }),
    takeAway: () => renameSync(inbox, `${inbox}.gone`),
    isThere: () => existsSync(inbox),
  };
});

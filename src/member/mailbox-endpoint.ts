import { parseMailbox } from "../config/mailbox-url.ts";
import { startEndpoint } from "../endpoint/endpoint.ts";
import type { MemberContext } from "./member-context.ts";

/**
 * Serves this member's own mailbox by SFTP, if its configuration has `listen`, until the result is disposed of.
 * @throws EndpointError.
 */
export async function serveMailbox({ self, logger }: MemberContext): Promise<AsyncDisposable | null> {
  const { listen, directory, state } = self;
  if (listen === null) return null;
  const mailbox = parseMailbox(self.mailbox);
  const mountedAt = typeof mailbox === "string" ? directory : mailbox.path;
  const endpoint = await startEndpoint({ listen, directory, mountedAt, state, logger });
  return { [Symbol.asyncDispose]: () => endpoint.close() };
}

import { parseMailbox } from "../config/mailbox-url.ts";
import { type Endpoint, startEndpoint } from "../endpoint/endpoint.ts";
import { keepListening } from "./keep-listening.ts";
import type { MemberContext } from "./member-context.ts";

export interface ServeOptions {
  /** At the start of a daemon it must be possible; later, after a reload, it is tried again and again. */
  readonly atStart: boolean;
  /** Called when the mailbox can be reached. */
  readonly onListening: () => void;
}

/** Serves this member's own mailbox by SFTP, as `listen` in its configuration says, until `stop` is aborted. @throws EndpointError at the start. */
export async function serveMailbox(
  context: MemberContext,
  { atStart, onListening }: ServeOptions,
  stop: AbortSignal,
): Promise<void> {
  const { listen } = context.self;
  if (listen === null) return;
  const again = "the mailbox can be reached by SFTP again";
  const start = () => startListening(context, listen);
  await keepListening(context, { start, mayWait: !atStart, again, onListening }, stop);
}

async function startListening(
  { self, logger }: MemberContext,
  listen: NonNullable<MemberContext["self"]["listen"]>,
): Promise<Endpoint> {
  const { directory, state } = self;
  const mailbox = parseMailbox(self.mailbox);
  const mountedAt = typeof mailbox === "string" ? directory : mailbox.path;
  return await startEndpoint({ listen, directory, mountedAt, state, logger });
}

import { parseMailbox } from "../config/mailbox-url.ts";
import { startEndpoint } from "../endpoint/endpoint.ts";
import { EndpointError } from "../endpoint/endpoint-error.ts";
import type { MemberContext } from "./member-context.ts";
import { pause } from "./pause.ts";

const RETRY_MS = 5_000;

export interface ServeOptions {
  /** At the start of a daemon it must be possible; later, after a reload, it is tried again and again. */
  readonly atStart: boolean;
  /** Called when the mailbox can be reached. */
  readonly onListening: () => void;
}

/** Serves this member's own mailbox by SFTP until `stop` is aborted. @throws EndpointError at the start. */
export async function serveMailbox(
  context: MemberContext,
  { atStart, onListening }: ServeOptions,
  stop: AbortSignal,
): Promise<void> {
  let failed: string | null = null;
  while (!stop.aborted) {
    try {
      await using _endpoint = await listen(context);
      onListening();
      if (failed !== null) context.event("info", "LISTENING", null, "the mailbox can be reached by SFTP again");
      failed = null;
      await aborted(stop);
    } catch (error) {
      if (atStart || !(error instanceof EndpointError)) throw error;
      if (error.code !== failed) context.event("error", error.code, null, error.message);
      failed = error.code;
      await pause(RETRY_MS, stop);
    }
  }
}

async function listen({ self, logger }: MemberContext): Promise<AsyncDisposable | null> {
  const { directory, state } = self;
  if (self.listen === null) return null;
  const mailbox = parseMailbox(self.mailbox);
  const mountedAt = typeof mailbox === "string" ? directory : mailbox.path;
  const endpoint = await startEndpoint({ listen: self.listen, directory, mountedAt, state, logger });
  return { [Symbol.asyncDispose]: () => endpoint.close() };
}

async function aborted(stop: AbortSignal): Promise<void> {
  if (stop.aborted) return;
  await new Promise<void>((resolve) => stop.addEventListener("abort", () => resolve(), { once: true }));
}

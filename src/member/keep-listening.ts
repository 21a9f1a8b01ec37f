/** Servers inside the daemon: started, and started again when that is not possible. */
import { AfterimageError } from "../errors.ts";
import type { MemberContext } from "./member-context.ts";
import { pause } from "./pause.ts";

const RETRY_MS = 5_000;

interface Listening {
  /** Starts the server; an AfterimageError says why that is not possible now. */
  start(): Promise<{ close(): Promise<void> }>;
  /** Whether the daemon may go on without it. */
  readonly mayWait: boolean;
  /** Of the event after a failure. */
  readonly again: string;
  readonly onListening?: () => void;
}

/** Has the server listen until `stop` is aborted. What keeps it from listening is an event, once, and is tried again. */
export async function keepListening(
  context: MemberContext,
  { start, mayWait, again, onListening }: Listening,
  stop: AbortSignal,
): Promise<void> {
  let failed: string | null = null;
  while (!stop.aborted) {
    try {
      const server = await start();
      try {
        onListening?.();
        if (failed !== null) context.event("info", "LISTENING", null, again);
        failed = null;
        await aborted(stop);
      } finally {
        await server.close();
      }
    } catch (error) {
      if (!mayWait || !(error instanceof AfterimageError)) throw error;
      if (error.code !== failed) context.event("error", error.code, null, error.message);
      failed = error.code;
      await pause(RETRY_MS, stop);
    }
  }
}

async function aborted(stop: AbortSignal): Promise<void> {
  if (stop.aborted) return;
  await new Promise<void>((resolve) => stop.addEventListener("abort", () => resolve(), { once: true }));
}

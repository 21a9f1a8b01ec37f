import { errnoOf, messageOf } from "../errno.ts";
import { AlertError } from "./alert-error.ts";

interface CallOptions {
  readonly timeLimitMs: number;
  readonly stop: AbortSignal;
}

/**
 * One HTTP request that follows no redirection and reads no answer but its status.
 * @throws AlertError ALERT_REFUSED for any status but 2xx, ALERT_UNREACHABLE; it names the host only, as paths may hold secrets.
 */
export async function callUrl(url: string, request: RequestInit, { timeLimitMs, stop }: CallOptions): Promise<void> {
  const { host } = new URL(url);
  const signal = AbortSignal.any([stop, AbortSignal.timeout(timeLimitMs)]);
  let response: Response;
  try {
    response = await fetch(url, { ...request, redirect: "manual", signal });
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    const why = errnoOf(cause) ?? messageOf(cause);
    throw new AlertError("ALERT_UNREACHABLE", `${host} cannot be reached: ${why}`, { cause: error });
  }
  await response.body?.cancel();
  if (response.ok) return;
  throw new AlertError("ALERT_REFUSED", `${host} answered with ${response.status}`);
}

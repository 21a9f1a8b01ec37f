/**
 * Tells those who are to be told of alerts, each from a queue of its own in the state.
 *
 * Guarantee: a notice is told at least once, in the order in which they were queued, and with the same id however often:
 * one that was taken just when this process was killed comes again. What fails is tried again after 1 s and then ever
 * more rarely, up to every 5 minutes, for a day. Nothing else of the member waits for it.
 */
import { type AlertNotice, noticeSchema } from "../alerts/alert-notice.ts";
import { callUrl } from "../alerts/call-url.ts";
import { sendMail } from "../alerts/send-mail.ts";
import { sendWebhook } from "../alerts/send-webhook.ts";
import type { QueuedNotice } from "../journal/alert-ledger.ts";
import { errorView } from "./error-view.ts";
import type { Member } from "./member.ts";
import type { AlertChannel } from "./member-alerts.ts";
import { pause } from "./pause.ts";

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 5 * 60_000;
const GIVE_UP_AFTER_MS = 86_400_000;
/** The signal that something was queued may be missed. */
const LONGEST_WAIT_MS = 60_000;

/** Delivers what is queued for a channel until `stop` is aborted. */
export async function runAlertDelivery(member: Member, channel: AlertChannel, stop: AbortSignal): Promise<void> {
  const { store } = member.context;
  const report = new DeliveryReport(member, channel);
  let retryMs = FIRST_RETRY_MS;
  while (!stop.aborted) {
    const queued = store.alerts.first(channel);
    if (queued === null) {
      await member.alerts.queued[channel].wait(LONGEST_WAIT_MS, stop);
      continue;
    }
    const error = await attempt(() => deliverAndRemove(member, channel, queued, stop));
    if (stop.aborted) return;
    report.ended(error);
    if (error === null) {
      retryMs = FIRST_RETRY_MS;
    } else {
      await pause(retryMs, stop);
      retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
    }
  }
}

async function deliverAndRemove(
  member: Member,
  channel: AlertChannel,
  queued: QueuedNotice,
  stop: AbortSignal,
): Promise<void> {
  const { store, nowMs } = member.context;
  if (nowMs() - queued.atMs <= GIVE_UP_AFTER_MS) await deliver(member, channel, queued, stop);
  store.alerts.remove(queued.number);
}

/** Calls the URL of `alerts.ping` at its interval while the member is healthy, until `stop` is aborted. */
export async function runDeadManPing(member: Member, stop: AbortSignal): Promise<void> {
  const report = new DeliveryReport(member, "ping");
  while (!stop.aborted) {
    const { ping } = member.alerts.configuration;
    if (ping === null) return;
    if (member.alerts.isHealthy) {
      const { url, timeLimitMs } = ping;
      const error = await attempt(() => callUrl(url, { method: "GET" }, { timeLimitMs, stop }));
      if (!stop.aborted) report.ended(error);
    }
    await pause(ping.intervalMs, stop);
  }
}

async function attempt(send: () => Promise<void>): Promise<{ readonly cause: unknown } | null> {
  return await send().then(
    () => null,
    (cause: unknown) => ({ cause }),
  );
}

async function deliver(member: Member, channel: AlertChannel, queued: QueuedNotice, stop: AbortSignal): Promise<void> {
  const { webhook, mail } = member.alerts.configuration;
  const notice = noticeSchema.safeParse(JSON.parse(queued.document)).data;
  // Of another release: nobody here knows what it says.
  if (notice === undefined) return;
  if (channel === "hook") await tellHook(member, notice);
  else if (channel === "webhook" && webhook !== null)
    await sendWebhook(notice, webhook, { nowMs: member.context.nowMs(), stop });
  else if (channel === "mail" && mail !== null) await sendMail(notice, mail, stop);
}

async function tellHook(
  member: Member,
  { version: _, mirror: __, member: ___, ...details }: AlertNotice,
): Promise<void> {
  await member.hooks.alert(details);
}

/** A series of failures is one event, and so is its end. */
class DeliveryReport {
  readonly #member: Member;
  readonly #channel: AlertChannel | "ping";
  #failing: string | null = null;

  constructor(member: Member, channel: AlertChannel | "ping") {
    this.#member = member;
    this.#channel = channel;
  }

  ended(error: { readonly cause: unknown } | null): void {
    const { logger } = this.#member.context;
    try {
      this.#report(error);
    } catch (cause) {
      // A full disk takes no report; the next end is reported.
      logger.error({ err: cause, channel: this.#channel }, "what came of telling somebody cannot be recorded");
    }
  }

  #report(error: { readonly cause: unknown } | null): void {
    const { context } = this.#member;
    const channel = this.#channel;
    const view = error === null ? null : errorView(error.cause, context.nowMs());
    if (view !== null && view.message !== this.#failing) {
      const message = `nobody is told by ${channel}, and it is tried again: ${view.message}`;
      context.event("warn", "ALERT_UNDELIVERED", null, message, { channel, error: view.code });
    } else if (view === null && this.#failing !== null) {
      context.event("info", "ALERT_DELIVERED", null, `${channel} takes alerts again`, { channel });
    }
    this.#failing = view?.message ?? null;
  }
}

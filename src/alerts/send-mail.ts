/** Delivers a notice by mail. The Message-ID is made of the notice's id, so that one that comes twice can be told. */
import type { MailConfiguration } from "../config/alert-configuration.ts";
import { messageOf } from "../errno.ts";
import { AlertError } from "./alert-error.ts";
import { type AlertNotice, noticeLine } from "./alert-notice.ts";
import { readSecret } from "./read-secret.ts";

/** @throws AlertError; the reason of `stop` as soon as it is aborted: then it may arrive all the same. */
export async function sendMail(notice: AlertNotice, mail: MailConfiguration, stop: AbortSignal): Promise<void> {
  const { host, port, tls, user, password, from, to, timeLimitMs } = mail;
  const pass = password === null ? "" : await readSecret(password);
  // Loaded only now: most members send no mail, and starting is to be quick.
  const { createTransport } = await import("nodemailer");
  const transport = createTransport({
    ...{ host, port, secure: tls === "implicit", requireTLS: tls === "starttls", ignoreTLS: tls === "none" },
    ...(user === null ? {} : { auth: { user, pass } }),
    ...{ connectionTimeout: timeLimitMs, greetingTimeout: timeLimitMs, socketTimeout: timeLimitMs },
    ...{ disableFileAccess: true, disableUrlAccess: true },
  });
  try {
    const messageId = `<${notice.id}@afterimage.invalid>`;
    await orStopped(transport.sendMail({ from, to: [...to], ...letter(notice), messageId }), stop);
  } catch (error) {
    stop.throwIfAborted();
    throw new AlertError("ALERT_UNREACHABLE", `${host}:${port} did not take the mail: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    transport.close();
  }
}

async function orStopped(work: Promise<unknown>, stop: AbortSignal): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onStop = () => reject(stop.reason);
  stop.addEventListener("abort", onStop, { once: true });
  try {
    await Promise.race([work, promise]);
  } finally {
    stop.removeEventListener("abort", onStop);
  }
}

function letter(notice: AlertNotice): { subject: string; text: string; date: Date } {
  const { kind, mirror, member, message, hint, since, time } = notice;
  const what = noticeLine(notice);
  const lines = [
    `${member} of the mirror set ${mirror}: ${what}`,
    "",
    ...(kind === "raised"
      ? [`Since ${since}.`, "", `What to do: ${hint}`]
      : [`It was: ${message}`, `From ${since} to ${time}.`]),
    "",
    `Notice ${notice.id}, ${time}.`,
  ];
  return { subject: `[${mirror}/${member}] ${what}`, text: `${lines.join("\n")}\n`, date: new Date(time) };
}

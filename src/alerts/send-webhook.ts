/**
 * Delivers a notice by HTTP, as a POST of JSON.
 *
 * With a secret the header `Afterimage-Signature: t=TIME,v1=HMAC` proves who sent it and when: HMAC-SHA256 (RFC 2104), in
 * hexadecimal, of the seconds since 1970, a full stop, and the body. A receiver refuses what is older than some minutes.
 */
import { createHmac } from "node:crypto";
import type { WebhookConfiguration } from "../config/alert-configuration.ts";
import type { AlertNotice } from "./alert-notice.ts";
import { callUrl } from "./call-url.ts";
import { readSecret } from "./read-secret.ts";

const SIGNATURE_HEADER = "afterimage-signature";
const ID_HEADER = "afterimage-id";

/** @throws AlertError, also for a redirection: what is told is for nobody else. */
export async function sendWebhook(
  notice: AlertNotice,
  { url, secret, timeLimitMs }: WebhookConfiguration,
  { nowMs, stop }: { nowMs: number; stop: AbortSignal },
): Promise<void> {
  const body = JSON.stringify(notice);
  const time = Math.floor(nowMs / 1000);
  const signed = secret === null ? {} : { [SIGNATURE_HEADER]: signature(await readSecret(secret), time, body) };
  const headers = { "content-type": "application/json", [ID_HEADER]: notice.id, ...signed };
  await callUrl(url, { method: "POST", headers, body }, { timeLimitMs, stop });
}

/** @param time seconds since 1970. */
function signature(secret: string, time: number, body: string): string {
  return `t=${time},v1=${createHmac("sha256", secret).update(`${time}.${body}`).digest("hex")}`;
}

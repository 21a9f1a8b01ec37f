/** The schema of an `alerts` section: every key may be missing, in the set's section as well as in a member's. */
import { z } from "zod";
import { type AlertSection, MAIL_TLS, type SecretPlace } from "./alert-configuration.ts";
import { absolutePath, count, duration, parsedText, port, size } from "./value-schemas.ts";

const DAY_MS = 86_400_000;
const TIME_LIMIT_MS = 10_000;
const PING_INTERVAL_MS = 60_000;
const MAIL_PORTS = { starttls: 587, implicit: 465, none: 25 } as const;

const ageSchema = duration({ min: 1000, max: 3650 * DAY_MS, range: "from 1s to 3650d" });
const timeLimit = duration({ min: 1000, max: 600_000, range: "from 1s to 10m" }).default(TIME_LIMIT_MS);

/** `off` is null. */
function orOff<T>(schema: z.ZodType<T>) {
  return z.unknown().transform((value, context): T | null => {
    if (value === "off") return null;
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) {
      const params: unknown = "params" in issue ? issue.params : undefined;
      const code = isRecord(params) ? params.code : "VALUE_INVALID";
      context.addIssue({ code: "custom", message: `${issue.message}; or write off`, params: { code } });
    }
    return z.NEVER;
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

const share = parsedText("VALUE_INVALID", (text) => {
  const percent = Number(/^(\d{1,3}(?:\.\d+)?) ?%$/.exec(text)?.[1] ?? Number.NaN);
  return percent >= 1 && percent <= 100
    ? { value: percent / 100 }
    : `${JSON.stringify(text)} is no share: write 1% to 100%`;
});

const url = parsedText("VALUE_INVALID", (text) => {
  const parsed = URL.canParse(text) ? new URL(text) : null;
  return parsed?.protocol === "https:" || parsed?.protocol === "http:"
    ? { value: text }
    : "must be a URL that begins with https:// or http://";
});

/** Sections within the section, by their keys, for the message about a key that is not known. */
export function alertSchemas(home: string) {
  const path = absolutePath(home);
  const name = z.string().min(1);
  const webhook = { url, secretFile: path.optional(), secretVariable: name.optional(), timeLimit };
  const webhookSchema = z.strictObject(webhook).transform((raw) => ({
    url: raw.url,
    secret: place(raw.secretFile, raw.secretVariable),
    timeLimitMs: raw.timeLimit,
  }));
  const mail = {
    host: name,
    port: port.optional(),
    tls: z.enum(MAIL_TLS).default("starttls"),
    user: name.optional(),
    passwordFile: path.optional(),
    passwordVariable: name.optional(),
    from: name,
    to: z.array(name).min(1),
    timeLimit,
  };
  const mailSchema = z
    .strictObject(mail)
    .superRefine(refusePlainLogin)
    .transform(({ host, tls, from, to, ...raw }) => ({
      ...{ host, tls, from, to },
      port: raw.port ?? MAIL_PORTS[tls],
      user: raw.user ?? null,
      password: place(raw.passwordFile, raw.passwordVariable),
      timeLimitMs: raw.timeLimit,
    }));
  const interval = duration({ min: 1000, max: DAY_MS, range: "from 1s to 1d" }).default(PING_INTERVAL_MS);
  const ping = { url, interval, timeLimit };
  const pingSchema = z
    .strictObject(ping)
    .transform((raw) => ({ url: raw.url, intervalMs: raw.interval, timeLimitMs: raw.timeLimit }));
  const alerts = {
    receivedLag: orOff(ageSchema).optional(),
    integratedLag: orOff(ageSchema).optional(),
    upstreamSilent: orOff(ageSchema).optional(),
    followerAway: orOff(ageSchema).optional(),
    receiptAge: orOff(ageSchema).optional(),
    topologyUnsafe: orOff(ageSchema).optional(),
    spool: orOff(share).optional(),
    freeSpace: orOff(size({ bytes: 1, text: "1" })).optional(),
    quarantine: orOff(count).optional(),
    backupAge: orOff(ageSchema).optional(),
    errors: orOff(ageSchema).optional(),
    webhook: webhookSchema.optional(),
    mail: mailSchema.optional(),
    ping: pingSchema.optional(),
  };
  return {
    schema: z.strictObject(alerts).transform(
      ({
        receivedLag,
        integratedLag,
        upstreamSilent,
        followerAway,
        receiptAge,
        topologyUnsafe,
        ...raw
      }): AlertSection => ({
        receivedLagMs: receivedLag,
        integratedLagMs: integratedLag,
        upstreamSilentMs: upstreamSilent,
        followerAwayMs: followerAway,
        receiptAgeMs: receiptAge,
        topologyUnsafeMs: topologyUnsafe,
        spoolShare: raw.spool,
        freeSpaceBytes: raw.freeSpace,
        quarantineFiles: raw.quarantine,
        backupAgeMs: raw.backupAge,
        errorsMs: raw.errors,
        webhook: raw.webhook,
        mail: raw.mail,
        ping: raw.ping,
      }),
    ),
    keys: Object.keys(alerts),
    inner: { webhook: Object.keys(webhook), mail: Object.keys(mail), ping: Object.keys(ping) },
  };
}

function refusePlainLogin(
  { tls, user }: { tls: (typeof MAIL_TLS)[number]; user?: string | undefined },
  context: z.core.$RefinementCtx,
): void {
  if (tls === "none" && user !== undefined)
    context.addIssue({ code: "custom", path: ["user"], message: "a password is not sent without TLS: give `tls`" });
}

function place(file: string | undefined, variable: string | undefined): SecretPlace | null {
  return file === undefined && variable === undefined ? null : { file: file ?? null, variable: variable ?? null };
}

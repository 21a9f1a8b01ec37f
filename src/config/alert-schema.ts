/** The schema of an `alerts` section: every key may be missing, in the set's section as well as in a member's. */
import { z } from "zod";
import {
  ALERT_DEFAULTS,
  type AlertSection,
  type AlertThresholds,
  MAIL_TLS,
  type SecretPlace,
} from "./alert-configuration.ts";
import { noted } from "./key-notes.ts";
import { formatDuration } from "./quantities.ts";
import { absolutePath, count, duration, orOff, parsedText, port, size } from "./value-schemas.ts";

const DAY_MS = 86_400_000;
const MAIL_PORTS = { starttls: 587, implicit: 465, none: 25 } as const;

type AgeKey = { [Key in keyof AlertThresholds]: Key extends `${string}Ms` ? Key : never }[keyof AlertThresholds];

const ageSchema = duration({ min: 1000, max: 3650 * DAY_MS, range: "from 1s to 3650d" });

function age(key: AgeKey, meaning: string) {
  const ageMs = ALERT_DEFAULTS[key];
  const otherwise = ageMs === null ? "`off`" : `\`${formatDuration(ageMs)}\``;
  return noted(orOff(ageSchema).optional().describe(meaning), { otherwise });
}

function timeLimit(meaning: string) {
  return duration({ min: 1000, max: 600_000, range: "from 1s to 10m" }).prefault("10s").describe(meaning);
}

const share = noted(
  parsedText("VALUE_INVALID", (text) => {
    const percent = Number(/^(\d{1,3}(?:\.\d+)?) ?%$/.exec(text)?.[1] ?? Number.NaN);
    return percent >= 1 && percent <= 100
      ? { value: percent / 100 }
      : `${JSON.stringify(text)} is no share: write 1% to 100%`;
  }),
  { written: "share" },
);

const url = noted(
  parsedText("VALUE_INVALID", (text) => {
    const parsed = URL.canParse(text) ? new URL(text) : null;
    return parsed?.protocol === "https:" || parsed?.protocol === "http:"
      ? { value: text }
      : "must be a URL that begins with https:// or http://";
  }),
  { written: "URL" },
);

/** For a user whose home directory is `home`. */
export function alertSchema(home: string) {
  return z.strictObject({ ...thresholds(), webhook: webhook(home), mail: mail(home), ping: ping() }).transform(
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
  );
}

function thresholds() {
  return {
    upstreamSilent: age("upstreamSilentMs", "A mirror has heard nothing of the operational member for so long."),
    receivedLag: age(
      "receivedLagMs",
      "What the operational member cut so long ago is not proved to be in a mirror's journal. With a schedule for `ship` it is off unless it is given.",
    ),
    integratedLag: age(
      "integratedLagMs",
      "The same of a mirror's databases, beyond its `delay`. With a schedule for `ship` or `integrate` it is off unless it is given.",
    ),
    followerAway: age("followerAwayMs", "A follower has shown no sign of life for so long."),
    receiptAge: age(
      "receiptAgeMs",
      "The operational member has cut something so long ago that a member behind it has not proved to have received. With a schedule for `ship` it is off unless it is given.",
    ),
    topologyUnsafe: age("topologyUnsafeMs", "For so long no failover or dr member could be promoted."),
    spool: noted(orOff(share).optional().describe("Of `journal.maxBytes` that the journal has."), {
      otherwise: `\`${100 * (ALERT_DEFAULTS.spoolShare ?? 0)}%\``,
    }),
    freeSpace: noted(
      orOff(size({ bytes: 1, text: "1" }))
        .optional()
        .describe("What is free on the file systems of the journal and of the databases."),
      { otherwise: "half as much again as `journal.minFree`" },
    ),
    quarantine: noted(orOff(count).optional().describe("Files of a database in quarantine."), {
      otherwise: `\`${ALERT_DEFAULTS.quarantineFiles}\``,
    }),
    backupAge: age("backupAgeMs", "Age of the newest backup, where they are made by schedule."),
    errors: age("errorsMs", "How long a database, or the member as a whole, may have an error."),
  };
}

function webhook(home: string) {
  const path = absolutePath(home);
  return z
    .strictObject({
      url: url.describe(
        "Where a notice goes, as a POST of JSON. Redirections are not followed. Write a token in it as a variable.",
      ),
      secretFile: path
        .optional()
        .describe(
          "A file whose first line is the secret that requests are signed with. Without a secret they are not signed.",
        ),
      secretVariable: z
        .string()
        .min(1)
        .optional()
        .describe("The name of an environment variable that holds it. `secretFile` comes first."),
      timeLimit: timeLimit("A request that takes longer has failed."),
    })
    .transform((raw) => ({
      url: raw.url,
      secret: place(raw.secretFile, raw.secretVariable),
      timeLimitMs: raw.timeLimit,
    }))
    .optional()
    .describe("Notices by HTTP. See below.");
}

function mail(home: string) {
  const path = absolutePath(home);
  const text = z.string().min(1);
  const ports = Object.values(MAIL_PORTS).map((number) => `\`${number}\``);
  return z
    .strictObject({
      host: text.describe("The mail server."),
      port: noted(port.optional().describe("By `tls`."), { otherwise: ports.join(", ") }),
      tls: z
        .enum(MAIL_TLS)
        .default("starttls")
        .describe(
          "With the first two nothing is sent without TLS and a certificate that is known; `none` sends all of it in the clear, and takes no `user`.",
        ),
      user: text.optional().describe("With it the member logs in."),
      passwordFile: path.optional().describe("A file whose first line is the password."),
      passwordVariable: text
        .optional()
        .describe("The name of an environment variable that holds it. `passwordFile` comes first."),
      from: text.describe("The sender's address."),
      to: z.array(text).min(1).describe("Addresses."),
      timeLimit: timeLimit("For each step of a conversation."),
    })
    .superRefine(refusePlainLogin)
    .transform(({ host, tls, from, to, ...raw }) => ({
      ...{ host, tls, from, to },
      port: raw.port ?? MAIL_PORTS[tls],
      user: raw.user ?? null,
      password: place(raw.passwordFile, raw.passwordVariable),
      timeLimitMs: raw.timeLimit,
    }))
    .optional()
    .describe("Notices by mail. See below.");
}

function ping() {
  return z
    .strictObject({
      url: url.describe(
        "Asked for (GET) while the member is healthy: while no alert of the level `error` is raised, and its state takes writes.",
      ),
      interval: duration({ min: 1000, max: DAY_MS, range: "from 1s to 1d" })
        .prefault("1m")
        .describe("How often. Whoever waits for it should be patient for three times as long."),
      timeLimit: timeLimit("A request that takes longer has failed."),
    })
    .transform((raw) => ({ url: raw.url, intervalMs: raw.interval, timeLimitMs: raw.timeLimit }))
    .optional()
    .describe("A URL that is asked for while the member is healthy. See below.");
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

/** The `alerts` sections of a configuration: when somebody is told that something is wrong, and how. */
import type { Configuration, MemberConfiguration } from "./configuration.ts";

/** From where on something is an alert; null: never. Ages are milliseconds. docs/ALERTS.md says what each is about. */
export interface AlertThresholds {
  /** Age of what a mirror has received. */
  readonly receivedLagMs: number | null;
  /** Age of what a mirror has integrated, without its own `delay`. */
  readonly integratedLagMs: number | null;
  readonly upstreamSilentMs: number | null;
  readonly followerAwayMs: number | null;
  /** Age of the oldest segment that a follower has not proved to have received. */
  readonly receiptAgeMs: number | null;
  /** How long there may be no member that could be promoted. */
  readonly topologyUnsafeMs: number | null;
  /** Share of `journal.maxBytes`, 0 to 1. */
  readonly spoolShare: number | null;
  /** Bytes; `default` is half as much again as `journal.minFree`. */
  readonly freeSpaceBytes: number | "default" | null;
  /** Files. */
  readonly quarantineFiles: number | null;
  readonly backupAgeMs: number | null;
  /** How long an error may last. */
  readonly errorsMs: number | null;
}

/** A secret is in one of the two places; the file comes first. */
export interface SecretPlace {
  /** Its first line. */
  readonly file: string | null;
  /** The name of an environment variable. */
  readonly variable: string | null;
}

export interface WebhookConfiguration {
  readonly url: string;
  /** Null: requests are not signed. */
  readonly secret: SecretPlace | null;
  readonly timeLimitMs: number;
}

export const MAIL_TLS = ["starttls", "implicit", "none"] as const;

export interface MailConfiguration {
  readonly host: string;
  readonly port: number;
  /** `none` sends everything in the clear. */
  readonly tls: (typeof MAIL_TLS)[number];
  /** Null: no login. */
  readonly user: string | null;
  readonly password: SecretPlace | null;
  readonly from: string;
  readonly to: readonly string[];
  readonly timeLimitMs: number;
}

export interface PingConfiguration {
  readonly url: string;
  readonly intervalMs: number;
  readonly timeLimitMs: number;
}

interface AlertChannels {
  readonly webhook: WebhookConfiguration | null;
  readonly mail: MailConfiguration | null;
  readonly ping: PingConfiguration | null;
}

export interface AlertConfiguration extends AlertThresholds, AlertChannels {}

/** What a section says. What it does not say is taken from the section of the set, and then from the defaults. */
export type AlertSection = { readonly [Key in keyof AlertConfiguration]?: AlertConfiguration[Key] | undefined };

const MINUTE_MS = 60_000;

/** What holds where no section says anything. */
export const ALERT_DEFAULTS: AlertConfiguration = {
  receivedLagMs: 5 * MINUTE_MS,
  integratedLagMs: 10 * MINUTE_MS,
  upstreamSilentMs: MINUTE_MS,
  followerAwayMs: 2 * MINUTE_MS,
  receiptAgeMs: 5 * MINUTE_MS,
  topologyUnsafeMs: 2 * MINUTE_MS,
  spoolShare: 0.9,
  freeSpaceBytes: "default",
  quarantineFiles: 1,
  backupAgeMs: 36 * 60 * MINUTE_MS,
  errorsMs: MINUTE_MS,
  webhook: null,
  mail: null,
  ping: null,
};

/** What holds for a member: its own section, then that of the set, then the defaults, which do not hold what is late by schedule against it. */
export function alertConfiguration(configuration: Configuration, self: MemberConfiguration): AlertConfiguration {
  const sections = [self.alerts, configuration.alerts, scheduledLate(configuration, self)];
  const key = <Key extends keyof AlertConfiguration>(name: Key): AlertConfiguration[Key] => {
    for (const section of sections) {
      const value = section[name];
      if (value !== undefined) return value;
    }
    return ALERT_DEFAULTS[name];
  };
  return {
    receivedLagMs: key("receivedLagMs"),
    integratedLagMs: key("integratedLagMs"),
    upstreamSilentMs: key("upstreamSilentMs"),
    followerAwayMs: key("followerAwayMs"),
    receiptAgeMs: key("receiptAgeMs"),
    topologyUnsafeMs: key("topologyUnsafeMs"),
    spoolShare: key("spoolShare"),
    freeSpaceBytes: key("freeSpaceBytes"),
    quarantineFiles: key("quarantineFiles"),
    backupAgeMs: key("backupAgeMs"),
    errorsMs: key("errorsMs"),
    webhook: key("webhook"),
    mail: key("mail"),
    ping: key("ping"),
  };
}

function scheduledLate({ journal }: Configuration, { integrate }: MemberConfiguration): AlertSection {
  return {
    ...(journal.ship.kind === "cron" ? { receivedLagMs: null, integratedLagMs: null, receiptAgeMs: null } : {}),
    ...(integrate.kind === "cron" ? { integratedLagMs: null } : {}),
  };
}

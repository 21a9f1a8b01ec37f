/**
 * The shape of the file, section by section. Each section is parsed on its own, so that a fault in one member does not hide
 * those in another; what two sections must agree on is in cross-checks.ts.
 */
import { validateDetailed } from "node-cron";
import { z } from "zod";
import { MEMBER_TYPES } from "../status/member-status.ts";
import { alertSchemas } from "./alert-schema.ts";
import {
  BACKUP_CHECKS,
  BACKUPS_KEPT,
  type BackupConfiguration,
  DRILL_TIME_LIMIT_MS,
  type DrillConfiguration,
  FOLLOWS_OPERATIONAL,
  type HookConfiguration,
  type HookEvent,
  type HttpConfiguration,
  type JournalConfiguration,
  type ListenConfiguration,
  ON_ISOLATION,
  type Schedule,
} from "./configuration.ts";
import { parseMailbox } from "./mailbox-url.ts";
import { nearestName } from "./nearest-name.ts";
import { absolutePath, count, duration, parsedText, port, size } from "./value-schemas.ts";

/** Of a member, and of a mirror set. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;
const DATABASE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
export const HOST_KEY = /^SHA256:[A-Za-z0-9+/]{43}$/;

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** The smallest limit that holds a page of any size. */
const MIN_SEGMENT_BYTES = 128 * 1024;
const MIN_JOURNAL_BYTES = 16 * 2 ** 20;
/** Below this even a segment of one page would take seconds. */
const MIN_BANDWIDTH = 1024;
const LISTEN_PORT = 2022;
/** Patroni's. */
const HTTP_PORT = 8008;
const HOOK_TIME_LIMIT_MS = 60_000;
/** 107 bytes for a socket's path (unix(7)), less `/control.sock`. */
const MAX_STATE_PATH_BYTES = 94;

/** A section of the file: its schema, and its keys for the message about one that is not known. */
interface Section<T extends z.ZodType> {
  readonly schema: T;
  readonly keys: readonly string[];
}

/** What is wrong with a member's name; null when nothing is. */
export function memberNameFault(name: string): string | null {
  if (!NAME.test(name)) return "a member's name is 1 to 32 letters, digits, _ and -, and begins with a letter or digit";
  return name.toLowerCase() === FOLLOWS_OPERATIONAL ? "this name would be ambiguous in `follows: operational`" : null;
}

/** What is wrong with a database's name, which is a directory name in every journal; null when nothing is. */
export function databaseNameFault(name: string): string | null {
  return DATABASE_NAME.test(name)
    ? null
    : "a database's name is 1 to 64 letters, digits, ., _ and -, and begins with a letter or digit";
}

function cronFault(expression: string): string | null {
  const { valid, errors } = validateDetailed(expression);
  if (valid) return null;
  const reasons = errors.map(({ message }) => message);
  const reason = reasons.length === 0 ? "write 5 fields, or 6 with seconds first" : reasons.join(", ");
  return `${JSON.stringify(expression)} is not a cron expression: ${reason}`;
}

const cron = parsedText("CRON_INVALID", (text) => cronFault(text) ?? { value: text });

const schedule = parsedText<Schedule>("CRON_INVALID", (text) => {
  if (text === "continuous") return { value: { kind: "continuous" } };
  const fault = cronFault(text);
  return fault === null ? { value: { kind: "cron", expression: text } } : `${fault}; or write continuous`;
});

/** `off` is null. */
const scheduleOrOff = parsedText<string | null>("CRON_INVALID", (text) => {
  if (text === "off") return { value: null };
  const fault = cronFault(text);
  return fault === null ? { value: text } : `${fault}; or write off`;
});

const timeZone = parsedText("VALUE_INVALID", (text) => {
  if (isTimeZone(text)) return { value: text };
  const nearest = nearestName(text, Intl.supportedValuesOf("timeZone"));
  const meant = nearest === null ? "write UTC or a name such as Europe/Lisbon" : `did you mean ${nearest}?`;
  return `${JSON.stringify(text)} is not a time zone: ${meant}`;
});

/** Also names that the list of time zones has under another one, such as UTC; no offsets such as +01:00. */
function isTimeZone(text: string): boolean {
  if (!/^[A-Za-z]/.test(text)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

const mailbox = parsedText("MAILBOX_INVALID", (text) => {
  const parsed = parseMailbox(text);
  return typeof parsed === "string" ? parsed : { value: parsed };
});

const hostKey = parsedText("HOST_KEY_INVALID", (text) =>
  HOST_KEY.test(text)
    ? { value: text }
    : "a host key is SHA256: and 43 characters, as `afterimage doctor --show-host-key HOST` prints it",
);

/** The daemon's Unix socket lies in the state directory, and its path has a limit of its own. */
function stateDirectory(home: string) {
  return absolutePath(home).pipe(
    parsedText("PATH_TOO_LONG", (path) =>
      Buffer.byteLength(path) <= MAX_STATE_PATH_BYTES
        ? { value: path }
        : `a state directory's path has at most ${MAX_STATE_PATH_BYTES} bytes, because of the control socket in it`,
    ),
  );
}

/** The schemas of all sections, for a user whose home directory is `home`. */
export function sections(home: string) {
  const path = absolutePath(home);
  const backup = {
    schedule: cron.optional(),
    directory: path,
    keep: count.default(BACKUPS_KEPT),
    keepFor: duration({ min: 0, max: 3650 * DAY_MS, range: "at most 3650d" }).optional(),
    check: z.enum(BACKUP_CHECKS).default("full"),
    allowOperational: z.boolean().default(false),
  };
  const backupSchema = z.strictObject(backup).transform(
    ({ schedule = null, keepFor = null, ...same }): BackupConfiguration => ({
      ...same,
      schedule,
      keepForMs: keepFor,
    }),
  );
  const drill = {
    schedule: cron.optional(),
    script: path.optional(),
    directory: path.optional(),
    timeLimit: duration({ min: 1000, max: DAY_MS, range: "from 1s to 1d" }).default(DRILL_TIME_LIMIT_MS),
  };
  const drillSchema = z.strictObject(drill).transform(
    ({ schedule = null, script = null, directory = null, timeLimit }): DrillConfiguration => ({
      ...{ schedule, script, directory, timeLimitMs: timeLimit },
    }),
  );
  const listen = {
    address: z.string().min(1).default("0.0.0.0"),
    port: port.default(LISTEN_PORT),
    hostKey: path.optional(),
    authorizedKeys: z.array(z.string()).default([]),
    authorizedKeysFile: path.optional(),
  };
  const listenSchema = z.strictObject(listen).transform(
    ({ hostKey = null, authorizedKeysFile = null, ...same }): ListenConfiguration => ({
      ...same,
      hostKey,
      authorizedKeysFile,
    }),
  );
  const tls = { certificate: path, key: path };
  const http = {
    address: z.string().min(1).default("127.0.0.1"),
    port: port.default(HTTP_PORT),
    tls: z.strictObject(tls).optional(),
    allowPlain: z.boolean().default(false),
  };
  const httpSchema = z
    .strictObject(http)
    .transform(({ tls = null, ...same }): HttpConfiguration & { readonly allowPlain: boolean } => ({ ...same, tls }));
  const alerts = alertSchemas(home);
  const program = path.optional();
  const hooks = {
    timeLimit: duration({ min: 1000, max: DAY_MS, range: "from 1s to 1d" }).default(HOOK_TIME_LIMIT_MS),
    beforePromote: program,
    afterPromote: program,
    promoteFailed: program,
    beforeFence: program,
    afterFence: program,
    roleChanged: program,
    diverged: program,
    quarantined: program,
    alert: program,
  } satisfies Record<HookEvent | "timeLimit", z.ZodType>;
  const hooksSchema = z
    .strictObject(hooks)
    .transform(({ timeLimit, ...programs }): HookConfiguration => ({ ...programs, timeLimitMs: timeLimit }));
  const member = {
    mailbox,
    hostKey: hostKey.optional(),
    bandwidth: size({ bytes: MIN_BANDWIDTH, text: "1KiB" }).optional(),
    listen: listenSchema.optional(),
    http: httpSchema.optional(),
    directory: path.optional(),
    state: stateDirectory(home),
    databases: z.record(z.string(), path),
    follows: z.string().default(FOLLOWS_OPERATIONAL),
    type: z.enum(MEMBER_TYPES).default("failover"),
    delay: duration({ min: 0, max: 3650 * DAY_MS, range: "at most 3650d" }).default(0),
    integrate: schedule.default({ kind: "continuous" }),
    backup: backupSchema.optional(),
    drill: drillSchema.optional(),
    hooks: hooksSchema.default({ timeLimitMs: HOOK_TIME_LIMIT_MS }),
    alerts: alerts.schema.default({}),
  };
  const ssh = {
    identity: path.optional(),
    passphraseFile: path.optional(),
    passphraseVariable: z.string().min(1).optional(),
    knownHosts: path.optional(),
  };
  const sshSchema = z
    .strictObject(ssh)
    .transform(({ identity = null, passphraseFile = null, passphraseVariable = null, knownHosts = null }) => ({
      identity,
      passphraseFile,
      passphraseVariable,
      knownHosts,
    }));
  const top = {
    mirror: parsedText("VALUE_INVALID", (text) =>
      NAME.test(text)
        ? { value: text }
        : "the name of a mirror set is made like a member's: 1 to 32 letters, digits, _ and -",
    ),
    operational: z.string(),
    timeZone: timeZone.optional(),
    onIsolation: z.enum(ON_ISOLATION).default("continue"),
    members: z.record(z.string(), z.unknown()),
    ssh: z.unknown().optional(),
    journal: z.unknown().optional(),
    alerts: z.unknown().optional(),
  };
  return {
    top: section(z.strictObject(top), top),
    member: section(z.strictObject(member), member),
    backup: { keys: Object.keys(backup) },
    drill: { keys: Object.keys(drill) },
    listen: { keys: Object.keys(listen) },
    http: { keys: Object.keys(http) },
    tls: { keys: Object.keys(tls) },
    hooks: { keys: Object.keys(hooks) },
    ssh: section(sshSchema, ssh),
    journal: section(journalSchema, journalShape),
    alerts,
  };
}

const journalShape = {
  rotate: schedule.default({ kind: "cron", expression: "*/10 * * * * *" }),
  minInterval: duration({ min: 1, max: 60 * MINUTE_MS, range: "from 1ms to 60m" }).default(50),
  maxSegmentBytes: size({ bytes: MIN_SEGMENT_BYTES, text: "128KiB" }).default(64 * 2 ** 20),
  retention: duration({ min: 0, max: 3650 * DAY_MS, range: "at most 3650d" }).default(3 * DAY_MS),
  giveUpAfter: duration({ min: MINUTE_MS, max: 3650 * DAY_MS, range: "from 1m to 3650d" }).default(14 * DAY_MS),
  maxBytes: size({ bytes: MIN_JOURNAL_BYTES, text: "16MiB" }).optional(),
  minFree: size({ bytes: 0, text: "0" }).optional(),
  snapshot: scheduleOrOff.default("0 2 * * *"),
  ship: schedule.default({ kind: "continuous" }),
  verify: scheduleOrOff.default("0 4 * * 0"),
  deepVerify: scheduleOrOff.default("0 5 1 * *"),
};

const journalSchema = z.strictObject(journalShape).transform(
  ({ minInterval, retention, giveUpAfter, maxBytes = null, minFree = null, ...same }): JournalConfiguration => ({
    ...same,
    maxBytes,
    minFreeBytes: minFree,
    minIntervalMs: minInterval,
    retentionMs: retention,
    giveUpAfterMs: giveUpAfter,
  }),
);

function section<T extends z.ZodType>(schema: T, shape: object): Section<T> {
  return { schema, keys: Object.keys(shape) };
}

export type Sections = ReturnType<typeof sections>;
export type ParsedMember = z.output<Sections["member"]["schema"]>;

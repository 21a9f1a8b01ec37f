/** The section of a member, with those in it that have no file of their own. */
import { z } from "zod";
import { MEMBER_TYPES } from "../status/member-status.ts";
import type { alertSchema } from "./alert-schema.ts";
import {
  BACKUP_CHECKS,
  BACKUPS_KEPT,
  type BackupConfiguration,
  DRILL_TIME_LIMIT_MS,
  type DrillConfiguration,
  FOLLOWS_OPERATIONAL,
  type ListenConfiguration,
} from "./configuration.ts";
import { hookSchema } from "./hook-schema.ts";
import { noted } from "./key-notes.ts";
import { HOST_KEY, parseMailbox } from "./mailbox-url.ts";
import { formatDuration } from "./quantities.ts";
import { absolutePath, count, cron, duration, parsedText, port, schedule, size } from "./value-schemas.ts";

const DAY_MS = 86_400_000;
const LONGEST = { min: 0, max: 3650 * DAY_MS, range: "at most 3650d" };
/** Below this even a segment of one page would take seconds. */
const MIN_BANDWIDTH = 1024;
const LISTEN_PORT = 2022;
/** Patroni's. */
const HTTP_PORT = 8008;
/** 107 bytes for a socket's path (unix(7)), less `/control.sock`. */
const MAX_STATE_PATH_BYTES = 94;

const address = noted(z.string().min(1), { written: "address" });

const mailbox = noted(
  parsedText("MAILBOX_INVALID", (text) => {
    const parsed = parseMailbox(text);
    return typeof parsed === "string" ? parsed : { value: parsed };
  }),
  { written: "URL" },
);

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

/** For a user whose home directory is `home`. */
export function memberSchema(home: string, alerts: ReturnType<typeof alertSchema>) {
  const path = absolutePath(home);
  return z.strictObject({
    mailbox: mailbox.describe(
      "How the other members reach this one's mailbox. `file:///dir` is a directory that they all see; `sftp://user@host:port/dir` is on another machine (port 22 when not given, no password: members log in with a key). Every member has its own.",
    ),
    hostKey: noted(
      hostKey
        .optional()
        .describe(
          "The SSH host key's fingerprint, `SHA256:...`, as `afterimage doctor --show-host-key HOST:PORT` prints it. Any other key is refused. A fault for `file:`.",
        ),
      { otherwise: "required for `sftp:`, unless `ssh` has `knownHosts`" },
    ),
    bandwidth: noted(
      size({ bytes: MIN_BANDWIDTH, text: "1KiB" })
        .optional()
        .describe(
          "How many bytes a second another member sends to this one at most: `bandwidth: 10MiB`. Each sender has this limit for itself.",
        ),
      { otherwise: "no limit" },
    ),
    listen: listenSchema(path)
      .optional()
      .describe("The SFTP server inside the daemon. Only with an `sftp:` mailbox. See below."),
    http: httpSchema(path).optional().describe("Health endpoints and metrics over HTTP. See below."),
    directory: noted(
      path
        .optional()
        .describe(
          "The mailbox as this member itself sees it, when that differs from the URL (a chroot, another mount point).",
        ),
      { otherwise: "the URL's path" },
    ),
    state: stateDirectory(home).describe(
      "The state directory: roles, positions, journal, locks, control socket. Not in the mailbox, because others write there.",
    ),
    databases: z
      .record(z.string(), path)
      .describe(
        "Database files by database name. A name is 1 to 64 letters, digits, `.`, `_` and `-`, begins with a letter or digit, and is the same on every member. With a `*` it is a pattern, see below.",
      ),
    follows: noted(z.string(), { written: "`operational` or member" })
      .default(FOLLOWS_OPERATIONAL)
      .describe(
        "Whose journal this member follows. `operational` is whichever member is; a member's name makes a chain. Circles are faults.",
      ),
    type: z
      .enum(MEMBER_TYPES)
      .default("failover")
      .describe(
        "`failover` may take over; `dr` is promoted by hand only; `reporting` is never promoted, and may hold only some of the databases. All others hold all databases of the operational member.",
      ),
    delay: noted(
      duration(LONGEST)
        .prefault("0s")
        .describe("A mirror integrates a segment once it has had it for this long: `delay: 1h`. See below."),
      { otherwise: "none" },
    ),
    integrate: schedule
      .prefault("continuous")
      .describe("When a member of type `reporting` integrates what it has received. See below."),
    backup: backupSchema(path).optional().describe("Where backups go, and when they are made. See below."),
    drill: drillSchema(path).optional().describe("When a promotion is rehearsed on copies. See below."),
    hooks: noted(
      hookSchema(home)
        .prefault({})
        .describe("Programs to run at a change of role. Every machine has its own. See below."),
      { otherwise: "none" },
    ),
    alerts: noted(
      alerts
        .prefault({})
        .describe(
          "This member's own thresholds and channels; a key that is given here comes before that of the section `alerts` of the set.",
        ),
      { otherwise: "none", sameAs: "alerts" },
    ),
  });
}

type PathSchema = ReturnType<typeof absolutePath>;

function listenSchema(path: PathSchema) {
  return z
    .strictObject({
      address: address.default("0.0.0.0").describe("Where the daemon listens."),
      port: port
        .prefault(LISTEN_PORT)
        .describe("The port of the `mailbox` URL, unless something in between translates it."),
      hostKey: noted(
        path
          .optional()
          .describe(
            "The private host key. One that is made is `ssh_host_ed25519_key` in the state directory; its fingerprint is logged at every start.",
          ),
        { otherwise: "made at the first start" },
      ),
      authorizedKeys: noted(
        z
          .array(z.string())
          .default([])
          .describe("Public keys that may log in, as they stand in an `authorized_keys` file."),
        { otherwise: "none" },
      ),
      authorizedKeysFile: path
        .optional()
        .describe("A file of such keys, in addition. It is read at every login. One of the two is required."),
    })
    .transform(
      ({ hostKey = null, authorizedKeysFile = null, ...same }): ListenConfiguration => ({
        ...same,
        hostKey,
        authorizedKeysFile,
      }),
    );
}

function httpSchema(path: PathSchema) {
  const tls = z.strictObject({
    certificate: path.describe("A PEM file with the certificate and those that lead from it to a known authority."),
    key: path.describe(
      "A PEM file with its private key. Both files are looked at every minute, so that a renewal needs no reload.",
    ),
  });
  return z
    .strictObject({
      address: address
        .default("127.0.0.1")
        .describe("Where the daemon listens; `0.0.0.0` and `::` are all of the machine's addresses."),
      port: port.prefault(HTTP_PORT).describe("Patroni's port."),
      tls: tls.optional().describe("A certificate; then it is HTTPS, and nothing else."),
      allowPlain: z.boolean().default(false).describe("Whether HTTP without TLS may be reached from other machines."),
      page: noted(
        z
          .boolean()
          .optional()
          .describe(
            "Whether the page is there ([PAGE.md](PAGE.md)). It shows messages of events and of errors, with paths, to everybody who can reach the address.",
          ),
        { otherwise: "`true` when only this machine reaches the address" },
      ),
      names: noted(z.array(z.string().min(1)).default([]), { written: "list of text", otherwise: "none" }).describe(
        "Further names that lead browsers to the page, such as a proxy's. Addresses, `localhost`, the machine's name and that of its mailbox need not be named; any other name is refused.",
      ),
    })
    .transform(({ tls = null, ...same }) => ({ ...same, tls }));
}

function backupSchema(path: PathSchema) {
  return z
    .strictObject({
      directory: path.describe("Where backups of this member's databases go. Several members may share it."),
      schedule: noted(cron.optional().describe("When the daemon starts `afterimage backup`."), {
        otherwise: "by command only",
      }),
      keep: count
        .prefault(BACKUPS_KEPT)
        .describe("So many of the newest backups of each database are kept, whatever their age."),
      keepFor: duration(LONGEST).optional().describe("Backups that are younger are kept in addition, however many."),
      check: z
        .enum(BACKUP_CHECKS)
        .default("full")
        .describe(
          "What SQLite says of each: `integrity_check` or, in a fraction of the time, `quick_check`. All checksums are compared anyway.",
        ),
      allowOperational: z
        .boolean()
        .default(false)
        .describe("Whether the schedule goes on while this member is operational."),
    })
    .transform(
      ({ schedule = null, keepFor = null, ...same }): BackupConfiguration => ({
        ...same,
        schedule,
        keepForMs: keepFor,
      }),
    );
}

function drillSchema(path: PathSchema) {
  return z
    .strictObject({
      schedule: noted(
        cron
          .optional()
          .describe(
            "When the daemon starts `afterimage drill`, while this member is a mirror. Events: DRILL_PASSED, DRILL_FAILED.",
          ),
        { otherwise: "by command only" },
      ),
      script: path.optional().describe("A program that looks into the copies, and ends with 0 when it finds no fault."),
      directory: noted(
        path
          .optional()
          .describe(
            "Where the copies are made, all databases at once; `journal.minFree` stays free there. Not below a mailbox.",
          ),
        { otherwise: "the state directory" },
      ),
      timeLimit: duration({ min: 1000, max: DAY_MS, range: "from 1s to 1d" })
        .prefault(formatDuration(DRILL_TIME_LIMIT_MS))
        .describe("A script that runs for longer is ended."),
    })
    .transform(
      ({ schedule = null, script = null, directory = null, timeLimit }): DrillConfiguration => ({
        ...{ schedule, script, directory, timeLimitMs: timeLimit },
      }),
    );
}

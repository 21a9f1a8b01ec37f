/**
 * The shape of the file, section by section. Each section is parsed on its own, so that a fault in one member does not hide
 * those in another; what two sections must agree on is in cross-checks.ts.
 *
 * What a key means is said here, too: docs/CONFIG.md and config/afterimage.schema.json are written from these descriptions
 * (`npm run docs`).
 */
import { z } from "zod";
import { alertSchema } from "./alert-schema.ts";
import { ON_ISOLATION } from "./configuration.ts";
import { journalSchema } from "./journal-schema.ts";
import { noted } from "./key-notes.ts";
import { memberSchema } from "./member-schema.ts";
import { NAME } from "./names.ts";
import { nearestName } from "./nearest-name.ts";
import { absolutePath, parsedText } from "./value-schemas.ts";

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

const mirrorName = parsedText("VALUE_INVALID", (text) =>
  NAME.test(text)
    ? { value: text }
    : "the name of a mirror set is made like a member's: 1 to 32 letters, digits, _ and -",
);

/** The schemas of all sections, for a user whose home directory is `home`. */
export function sections(home: string) {
  const alerts = alertSchema(home);
  const member = memberSchema(home, alerts);
  const ssh = sshSchema(home);
  const settings = {
    mirror: noted(mirrorName, { written: "name" }).describe(
      "The name of the mirror set: 1 to 32 letters, digits, `_` and `-`.",
    ),
    operational: noted(z.string(), { written: "member" }).describe(
      "The member that is operational at the very first start. Later the role lives in the members' state, and this key is not read.",
    ),
    timeZone: noted(
      timeZone
        .optional()
        .describe("The time zone of all cron expressions: an IANA name such as `Europe/Lisbon`, or `UTC`."),
      { otherwise: "the machine's" },
    ),
    onIsolation: z
      .enum(ON_ISOLATION)
      .default("continue")
      .describe(
        "What an operational member does at its start when no other member can be asked whether it has taken over: serve, or fence its databases until one can be asked.",
      ),
  };
  return {
    top: z.strictObject({
      ...settings,
      members: z.record(z.string(), z.unknown()),
      ssh: z.unknown().optional(),
      journal: z.unknown().optional(),
      alerts: z.unknown().optional(),
    }),
    member,
    ssh,
    journal: journalSchema,
    alerts,
    /** All of them in one, for what is said about keys. */
    file: z.strictObject({
      ...settings,
      members: z.record(z.string().regex(NAME), member).describe("The members by name."),
      ssh: ssh.optional().describe("How members log in to each other. See below."),
      journal: journalSchema
        .optional()
        .describe("When segments are cut and shipped, and for how long they are kept. See below."),
      alerts: alerts.optional().describe("For all members, as far as their own sections say nothing else. See below."),
    }),
  };
}

function sshSchema(home: string) {
  const path = absolutePath(home);
  return z
    .strictObject({
      identity: noted(path.optional().describe("The private key with which this member logs in to the others."), {
        otherwise: "the SSH agent",
      }),
      passphraseFile: path
        .optional()
        .describe("A file whose first line is the passphrase of an encrypted private key."),
      passphraseVariable: z
        .string()
        .min(1)
        .optional()
        .describe("The name of an environment variable that holds the passphrase. `passphraseFile` comes first."),
      knownHosts: path
        .optional()
        .describe(
          "OpenSSH's list of host keys, such as `~/.ssh/known_hosts`, for members without a `hostKey`. Hosts that are not in it are refused.",
        ),
    })
    .transform(({ identity = null, passphraseFile = null, passphraseVariable = null, knownHosts = null }) => ({
      identity,
      passphraseFile,
      passphraseVariable,
      knownHosts,
    }));
}

export type Sections = ReturnType<typeof sections>;
export type ParsedMember = z.output<Sections["member"]>;

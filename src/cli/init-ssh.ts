/**
 * What `afterimage init` does about SSH on this machine: a key to log in with, and the keys of the others that may log in here.
 *
 * Guarantee: a key that is there is never replaced, and no line of an `authorized_keys` file is changed or removed.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import ssh2 from "ssh2";
import type { Configuration, MemberConfiguration } from "../config/configuration.ts";
import { parseMailbox } from "../config/mailbox-url.ts";
import { makePrivateDirectory, writeFileDurably } from "../durable-files.ts";
import { makePrivateKey } from "../endpoint/host-key.ts";
import { CliError } from "./cli-error.ts";
import { forcedCommand } from "./init-files.ts";
import { pairs, type SystemUser } from "./init-plan.ts";

export interface MemberKey {
  readonly path: string;
  readonly made: boolean;
  /** `TYPE BASE64`; null when the file does not tell, because it is encrypted and has no `.pub` beside it. */
  readonly publicKey: string | null;
}

/** Null when nothing is reached by SSH, or the SSH agent has the key. */
export function prepareKey({ ssh, members }: Configuration): MemberKey | null {
  const path = ssh.identity;
  if (path === null || ![...members.values()].some(({ mailbox }) => mailbox.startsWith("sftp:"))) return null;
  makePrivateDirectory(dirname(path));
  const made = makePrivateKey(path);
  const publicKey = publicKeyOf(path);
  if (made && publicKey !== null && !existsSync(`${path}.pub`)) writeFileDurably(`${path}.pub`, `${publicKey}\n`);
  return { path, made, publicKey };
}

function publicKeyOf(path: string): string | null {
  for (const file of [path, `${path}.pub`]) {
    if (!existsSync(file)) continue;
    const text = parsePublicKey(readFileSync(file, "utf8"));
    if (text !== null) return text;
  }
  return null;
}

/** `TYPE BASE64` of a public or private key; null when it is none, or encrypted. */
function parsePublicKey(text: string): string | null {
  const parsed = ssh2.utils.parseKey(text);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  return key === undefined || key instanceof Error ? null : `${key.type} ${key.getPublicSSH().toString("base64")}`;
}

/**
 * Where the keys of the others belong. `endpoint`: the daemon reads the file; `own`: this user's own list; `separate`: a file that
 * root puts into its place.
 */
export type KeysPlace =
  | { readonly kind: "endpoint" | "own" | "separate"; readonly path: string }
  | { readonly kind: "configuration" }
  | { readonly kind: "none" };

/** @param files the directory of what is written for this machine. */
export function keysPlace(member: MemberConfiguration, files: string, user: SystemUser): KeysPlace {
  const mailbox = parseMailbox(member.mailbox);
  if (typeof mailbox === "string" || mailbox.kind === "file") return { kind: "none" };
  if (member.listen !== null) {
    const { authorizedKeysFile: path } = member.listen;
    return path === null ? { kind: "configuration" } : { kind: "endpoint", path };
  }
  if (mailbox.user === user.name) return { kind: "own", path: join(user.home, ".ssh", "authorized_keys") };
  return { kind: "separate", path: join(files, "authorized_keys") };
}

/**
 * The members whose keys `--authorize NAME=KEY` gives, by name.
 * @throws CliError USAGE when one is no public key, or of no other member.
 */
export function keysToAuthorize(
  values: readonly string[],
  { members }: Configuration,
  self: string | null,
): Map<string, string> {
  const form = "--authorize 'NAME=TYPE KEY'";
  const found = pairs(values, form);
  if (found.size > 0 && self === null)
    throw new CliError("USAGE", `${form} needs --node: keys are let in on one machine`);
  return new Map(
    [...found].map(([name, text]) => {
      if (!members.has(name) || name === self) throw new CliError("USAGE", `${name} is no other member, for ${form}`);
      const key = /^(?:ssh|ecdsa)-\S+ \S/.test(text.trim()) ? parsePublicKey(text.trim()) : null;
      if (key === null) throw new CliError("USAGE", `what ${form} gives for ${name} is no public key`);
      return [name, key];
    }),
  );
}

/** Lets keys in; returns the names of those that were not in before. */
export function authorize(keys: ReadonlyMap<string, string>, place: KeysPlace, mirror: string): string[] {
  if (place.kind === "none" || keys.size === 0) return [];
  if (place.kind === "configuration") {
    const message =
      "this member's own SFTP server has its keys in the configuration: they are not let in by --authorize";
    const hint = "add them to `listen: { authorizedKeys: [...] }`, or name a file there with `authorizedKeysFile`";
    throw new CliError("USAGE", message, { hint });
  }
  const isNew = !existsSync(place.path);
  const text = isNew ? "" : readFileSync(place.path, "utf8");
  // The daemon's own server takes no options, and lets nobody do more in any case; sshd's confinement is in its own configuration.
  const options = place.kind === "own" ? `restrict,command="${forcedCommand()}" ` : "";
  const missing = [...keys].filter(([, key]) => !text.includes(key));
  const lines = missing.map(([name, key]) => `${options}${key} ${name} of ${mirror}\n`);
  if (lines.length === 0) return [];
  // sshd takes no list that others could change.
  makePrivateDirectory(dirname(place.path));
  const separator = text === "" || text.endsWith("\n") ? "" : "\n";
  appendFileSync(place.path, separator + lines.join(""), { mode: 0o600, flush: true });
  return missing.map(([name]) => name);
}
